identity = "envy.pre-commit@r1"
about = {
  version = "4.7.0",
  license = "MIT",
  description = "A manager of git hooks in many languages",
}
platforms = { "linux", "darwin" }

-- A known version has a list of the files of the release and of all that it needs, beside the recipe;
-- its digest is here. Any other version is resolved when it is installed.
options = {
  version = {
    type = "string",
    default = "4.7.0",
    known = {
      ["4.7.0"] = {
        any = "8a759b5d8068262e0e17e392472feb5d74d0d71ace79aff66cee1cd55b908b8d",
      },
    },
  },
  python = { type = "string", default = "" }, -- such as "3.12", which runs python3.12
}
inputs = { "locked/pre-commit-4.7.0.txt" }

local environment = require("python_environment")

host = function(opts) return environment.host(opts.python) end
secret_env = environment.secrets
dependencies = { environment.uv }

requirements = function(opts)
  return environment.of_release(opts.python, "pre-commit", opts.version, options.version.known[opts.version])
end

fetch = function(ctx, opts)
  environment.fetch_locked(ctx, opts.python, "pre-commit", opts.version, options.version.known[opts.version])
end

install = function(ctx) environment.install(ctx) end

products = { ["pre-commit"] = "bin/pre-commit" }
