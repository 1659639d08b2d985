identity = "envy.npm@r1"
about = {
  version = "12.2.2",
  license = "Artistic-2.0",
  description = "The package manager of Node.js, with its own Node.js",
}
platforms = { "linux", "darwin" }

-- The digest of the packages of known versions. The package of any other version is verified only
-- against the digest that the registry gives.
options = {
  version = {
    type = "string",
    default = "12.2.2",
    known = {
      ["12.2.2"] = {
        any = "07fecbf753e2c3bc10ebeb3e9ed8738f6a0cc1292998b79e2e9f1dd2a5525e0c",
      },
    },
  },
}

dependencies = { "envy.node@r1" }

fetch = function(_, opts)
  local digests = options.version.known[opts.version] or {}
  return { source = "npm:npm@" .. opts.version, sha256 = digests.any }
end

products = {
  npm = { path = "bin/npm-cli.js", with = "node" },
  npx = { path = "bin/npx-cli.js", with = "node" },
}
