identity = "envy.prettier@r1"
about = {
  version = "3.10.1",
  license = "MIT",
  description = "A code formatter for JavaScript, CSS, Markdown and more",
}
platforms = { "linux", "darwin" }

-- A known version has a lock of the release and of all that it needs, beside the recipe; its digest is
-- here. Any other version is resolved when it is installed.
options = {
  version = {
    type = "string",
    default = "3.10.1",
    known = {
      ["3.10.1"] = {
        any = "4ccadcf2ee5f0c29a47b0c168727011d4454d89fe398d165aae326dc16a68617",
      },
    },
  },
}
inputs = { "locked/prettier-3.10.1.json" }

local npm = require("npm_program")

dependencies = npm.dependencies

fetch = function(ctx, opts)
  npm.fetch_locked(ctx, "prettier", opts.version, options.version.known[opts.version])
end

install = function(ctx) npm.install(ctx, {}) end

products = { prettier = { path = "node_modules/.bin/prettier", with = "node" } }
