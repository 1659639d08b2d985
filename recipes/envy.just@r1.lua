identity = "envy.just@r1"
about = {
  version = "1.59.0",
  license = "CC0-1.0",
  description = "A command runner",
}
platforms = { "linux", "darwin" }

-- The digests of the wheels of known versions. The wheel of any other version is verified only
-- against the digest that the package index gives.
options = {
  version = {
    type = "string",
    default = "1.59.0",
    known = {
      ["1.59.0"] = {
        ["linux-x86_64-gnu"] = "3ee47f26e3aff917107602d57a08ede20df447f78dc4f9ceb08e57a883c56eb9",
        ["linux-x86_64-musl"] = "55a22dbd38fb3491d221da1e45184d09460526fae73b845eb9cdfbefcf06822b",
        ["linux-arm64-gnu"] = "a305aa91fc425c44e3bcc7d5faae7b8c1503091d8e79aae1f6801dbdca478e20",
        ["linux-arm64-musl"] = "58b64060b424f6a6ced877b4664122f9ac454d1302d97b73b170557b6c11568d",
        ["darwin-x86_64"] = "68795a4da5ffb65ed79a79ffaa8cdb06b7db15feba82a36fb0855a3eb964eb24",
        ["darwin-arm64"] = "105f7d21ff3a36ffbe1c2039bcac2c63b92941a11e3531ecdff3e4b6411f87d4",
      },
    },
  },
}

fetch = function(_, opts)
  local machine = ENVY_PLATFORM_ARCH .. (ENVY_LIBC and "-" .. ENVY_LIBC or "")
  local digests = options.version.known[opts.version] or {}
  return {
    source = "pypi:rust-just==" .. opts.version,
    sha256 = digests[machine],
  }
end

products = { just = "bin/just" }
exports = { path = { "bin" } }
