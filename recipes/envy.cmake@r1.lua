identity = "envy.cmake@r1"
about = {
  version = "4.4.4",
  license = "BSD-3-Clause",
  description = "Generates build files, runs tests and creates packages: cmake, ctest, cpack",
}
platforms = { "linux", "darwin" }

-- The digests of the wheels of known versions. The wheel of any other version is verified only
-- against the digest that the package index gives.
options = {
  version = {
    type = "string",
    default = "4.4.4",
    known = {
      ["4.4.4"] = {
        ["linux-x86_64-gnu"] = "f773a0544c66370408f451acd487c2c643b0dfebb48c5d64f3638bc1bb820238",
        ["linux-x86_64-musl"] = "ed50c732a82ac04f6e5606a0677ddfb49dda9ee130f9d4163c5df217e478417e",
        ["linux-arm64-gnu"] = "b3029f586853e01ddf2824c1ff124a1c5284f8ae897994758e9c4eeb45903b58",
        ["linux-arm64-musl"] = "e2d98233f16b5d6b9d4673a0a724ce801fc413811befb8f0b008cbffb7a2ad63",
        ["darwin-x86_64"] = "883962a72b1b3a16ff445427f24c8caca9797dd9e563bbe208cbcd89e877f9d3",
        ["darwin-arm64"] = "883962a72b1b3a16ff445427f24c8caca9797dd9e563bbe208cbcd89e877f9d3",
      },
    },
  },
}

-- The wheel is a Python package that contains the release; `subdir` takes only the release.
fetch = function(_, opts)
  local machine = ENVY_PLATFORM_ARCH .. (ENVY_LIBC and "-" .. ENVY_LIBC or "")
  local digests = options.version.known[opts.version] or {}
  return {
    source = "pypi:cmake==" .. opts.version,
    sha256 = digests[machine],
    subdir = "cmake/data",
  }
end

products = { cmake = "bin/cmake", ctest = "bin/ctest", cpack = "bin/cpack" }
exports = { path = { "bin" } }
