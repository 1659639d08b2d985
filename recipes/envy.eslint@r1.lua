identity = "envy.eslint@r1"
about = {
  version = "10.15.0",
  license = "MIT",
  description = "A linter for JavaScript",
}
platforms = { "linux", "darwin" }

-- A known version has a lock of the release and of all that it needs, beside the recipe; its digest is
-- here. Any other version is resolved when it is installed.
options = {
  version = {
    type = "string",
    default = "10.15.0",
    known = {
      ["10.15.0"] = {
        any = "632113858022677a0331d698cefc81890c985a24377ef911d571e077d5a1a326",
      },
    },
  },
}
inputs = { "locked/eslint-10.15.0.json" }

local npm = require("npm_program")

dependencies = npm.dependencies

fetch = function(ctx, opts)
  npm.fetch_locked(ctx, "eslint", opts.version, options.version.known[opts.version])
end

install = function(ctx) npm.install(ctx, {}) end

products = { eslint = { path = "node_modules/.bin/eslint", with = "node" } }
