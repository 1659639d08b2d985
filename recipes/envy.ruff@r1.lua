identity = "envy.ruff@r1"
about = {
  version = "0.17.6",
  license = "MIT",
  description = "A fast linter and formatter for Python code",
}
platforms = { "linux", "darwin" }

-- The digests of the wheels of known versions. The wheel of any other version is verified only
-- against the digest that the package index gives.
options = {
  version = {
    type = "string",
    default = "0.17.6",
    known = {
      ["0.17.6"] = {
        ["linux-x86_64-gnu"] = "aa3b08254a732acba246891089a152c47c5733dc36b8ecb76ce8602f8326e5e4",
        ["linux-x86_64-musl"] = "3db61f5015600543a581b07fa7f6f64afa0eeedefe16034cadd88c4074087582",
        ["linux-arm64-gnu"] = "435241c61af5909a022f76219d3d1bf24730dc1bf0acabb5ddf4b569ab3cbb30",
        ["linux-arm64-musl"] = "fb589e032806bb942e4fb526f30b80a1a64112147ed9f1d38cc3de2e255b6f45",
        ["darwin-x86_64"] = "9d44ef2140402043fd6f689ef541858b80883a8b0a02e38539ef0614ebe57d0c",
        ["darwin-arm64"] = "9fbddc08577592e283c265d865e0182de6e33db185494db7b06290d989d888e5",
      },
    },
  },
}

fetch = function(_, opts)
  local machine = ENVY_PLATFORM_ARCH .. (ENVY_LIBC and "-" .. ENVY_LIBC or "")
  local digests = options.version.known[opts.version] or {}
  return {
    source = "pypi:ruff==" .. opts.version,
    sha256 = digests[machine],
  }
end

products = { ruff = "bin/ruff" }
exports = { path = { "bin" } }
