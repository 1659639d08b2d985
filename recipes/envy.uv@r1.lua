identity = "envy.uv@r1"
about = {
  version = "0.13.9",
  license = "MIT OR Apache-2.0",
  description = "A fast package and project manager for Python",
}
platforms = { "linux", "darwin" }

-- The digests of the wheels of known versions. The wheel of any other version is verified only
-- against the digest that the package index gives. So is the wheel for glibc on arm64, where
-- more than one can match.
options = {
  version = {
    type = "string",
    default = "0.13.9",
    known = {
      ["0.13.9"] = {
        ["linux-x86_64-gnu"] = "d7f459fe4fd247d830351c75686d3996ace3c6f3f728eb0e85a30b7ada0cef19",
        ["linux-x86_64-musl"] = "2c45530751517d6c3bbc69a19473f6effe47cce047bede01ffd8af7ea7b36b25",
        ["linux-arm64-musl"] = "5435c5ce14a56431208ca0996416d310f1598e8c2c8ba707688985a16bb82dbe",
        ["darwin-x86_64"] = "c16ed11e013557536b3e60065f1b912f6407bd6518e041b961e23ef9e6b4fbf5",
        ["darwin-arm64"] = "66c512266d633bef48384a1f53003f41f2a8e7b36fe6e7fbfd3e0fd52d96fa63",
      },
    },
  },
}

fetch = function(_, opts)
  local machine = ENVY_PLATFORM_ARCH .. (ENVY_LIBC and "-" .. ENVY_LIBC or "")
  local digests = options.version.known[opts.version] or {}
  return {
    source = "pypi:uv==" .. opts.version,
    sha256 = digests[machine],
  }
end

products = { uv = "bin/uv", uvx = "bin/uvx" }
exports = { path = { "bin" } }
