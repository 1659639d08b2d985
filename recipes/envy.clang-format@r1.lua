identity = "envy.clang-format@r1"
about = {
  version = "23.1.5",
  license = "Apache-2.0 WITH LLVM-exception",
  description = "A formatter for C, C++, Java, JavaScript and more",
}
platforms = { "linux", "darwin" }

-- The digests of the wheels of known versions. The wheel of any other version is verified only
-- against the digest that the package index gives.
options = {
  version = {
    type = "string",
    default = "23.1.5",
    known = {
      ["23.1.5"] = {
        ["linux-x86_64-gnu"] = "d97ce49911ba8c89ef3f3c0735a9c7818e4780ab4812c67d1c5fcd829d16ae52",
        ["linux-x86_64-musl"] = "1f3589ec54a5ce9baf73c0c4f7b6e3f9201635c8585b5812bfb71d5fa8782a12",
        ["linux-arm64-gnu"] = "e8037e12eae19a9779e01ca6719b8d7f6a939ade8869b061912551c9748a27ad",
        ["linux-arm64-musl"] = "d2a72a532d7f0d35bb7fb7860a2881d14d25ef9a1c208fb965a2e29f0aa849ff",
        ["darwin-x86_64"] = "32ec7498f9f1672dff2e65624cf317a1fd64e48a4f582d6c172d440c511bff00",
        ["darwin-arm64"] = "3fb740335d939dd02252cd5075050fc8858466b16cf9c1efa2f52da3baa816a7",
      },
    },
  },
}

fetch = function(_, opts)
  local machine = ENVY_PLATFORM_ARCH .. (ENVY_LIBC and "-" .. ENVY_LIBC or "")
  local digests = options.version.known[opts.version] or {}
  return {
    source = "pypi:clang-format==" .. opts.version,
    sha256 = digests[machine],
  }
end

products = { ["clang-format"] = "clang_format/data/bin/clang-format" }
exports = { path = { "clang_format/data/bin" } }
