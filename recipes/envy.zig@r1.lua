identity = "envy.zig@r1"
about = {
  version = "0.17.1",
  license = "MIT",
  description = "The Zig language and build system; `zig cc` is a complete C and C++ compiler",
}
platforms = { "linux", "darwin" }

-- The digests of the wheels of known versions. The wheel of any other version is verified only
-- against the digest that the package index gives.
options = {
  version = {
    type = "string",
    default = "0.17.1",
    known = {
      ["0.17.1"] = {
        ["linux-x86_64-gnu"] = "ea6cc5d87b033cf0aedfbc8f9549a908cae6c50ac31f1698188fa48a74524b54",
        ["linux-x86_64-musl"] = "ea6cc5d87b033cf0aedfbc8f9549a908cae6c50ac31f1698188fa48a74524b54",
        ["linux-arm64-gnu"] = "b7c5f02fccd40f89b999ee16a1f5ddced56e6182370f8affe494bcf8a28cf07e",
        ["linux-arm64-musl"] = "b7c5f02fccd40f89b999ee16a1f5ddced56e6182370f8affe494bcf8a28cf07e",
        ["darwin-x86_64"] = "4e0b4b9c02b8d0d220e9948010f860b62ff11d96abb39762eca5fa2ef3f7bc97",
        ["darwin-arm64"] = "09953b6af7f64168b915180a42774f520f92d86ef6331b28e33915c7e1f0bb23",
      },
    },
  },
}

-- The wheel is a Python package that contains the release; `subdir` takes only the release.
fetch = function(_, opts)
  local machine = ENVY_PLATFORM_ARCH .. (ENVY_LIBC and "-" .. ENVY_LIBC or "")
  local digests = options.version.known[opts.version] or {}
  return {
    source = "pypi:ziglang==" .. opts.version,
    sha256 = digests[machine],
    subdir = "ziglang",
  }
end

products = { zig = "zig" }
exports = { path = { "." }, env = { ZIG = "{{asset}}/zig" } }
