identity = "envy.ninja@r1"
about = {
  version = "1.13.2",
  license = "Apache-2.0",
  description = "A small build system with a focus on speed",
}
platforms = { "linux", "darwin" }
options = { version = { type = "string", default = "1.13.2" } }

-- Digests of the wheels of the default version. The wheel of any other version is verified only
-- against the digest that the package index gives.
local MACOS = "fd82e26c0706ad4ab88e5fdd26f3fab0a987a90f810160f6c322e752c6af298b"
local SHA256 = {
  ["linux-x86_64-gnu"] = "65a24341b5ac09fcadcc37082660be40a94174e51a937fabf6e2cae26225fa2c",
  ["linux-x86_64-musl"] = "915bd482c4be41c75120fd67a22e0bb3f0fbb3bbc5f95b89787deadd59e27ef2",
  ["linux-arm64-gnu"] = "d775a5e43e9088f507a6250d57fcf5678eb31268c545feb5064ffeee33735622",
  ["linux-arm64-musl"] = "0e083700470c02ca154a855ae6d692d03564f5064cae52e113896f9ccc078418",
  ["darwin-x86_64"] = MACOS,
  ["darwin-arm64"] = MACOS,
}

fetch = function(_, opts)
  local machine = ENVY_PLATFORM_ARCH .. (ENVY_LIBC and "-" .. ENVY_LIBC or "")
  return {
    source = "pypi:ninja==" .. opts.version,
    sha256 = opts.version == options.version.default and SHA256[machine] or nil,
  }
end

products = { ninja = "bin/ninja" }
exports = { path = { "bin" } }
