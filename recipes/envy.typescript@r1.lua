identity = "envy.typescript@r1"
about = {
  version = "7.0.2",
  license = "Apache-2.0",
  description = "The compiler of TypeScript",
}
platforms = { "linux", "darwin" }

-- A known version has a lock of the release and of all that it needs, beside the recipe; its digest is
-- here. Any other version is resolved when it is installed.
options = {
  version = {
    type = "string",
    default = "7.0.2",
    known = {
      ["7.0.2"] = {
        any = "01ab1e2269a126516048d1dc1b42053b29382433a42d152d3cb7bcc03a4e5e64",
      },
    },
  },
}
inputs = { "locked/typescript-7.0.2.json" }

local npm = require("npm_program")

dependencies = npm.dependencies

fetch = function(ctx, opts)
  npm.fetch_locked(ctx, "typescript", opts.version, options.version.known[opts.version])
end

install = function(ctx) npm.install(ctx, {}) end

products = { tsc = { path = "node_modules/.bin/tsc", with = "node" } }
