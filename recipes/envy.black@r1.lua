identity = "envy.black@r1"
about = {
  version = "26.10.1",
  license = "MIT",
  description = "The uncompromising code formatter for Python",
}
platforms = { "linux", "darwin" }

-- A known version has a list of the files of the release and of all that it needs, beside the recipe;
-- its digest is here. Any other version is resolved when it is installed.
options = {
  version = {
    type = "string",
    default = "26.10.1",
    known = {
      ["26.10.1"] = {
        any = "3be4d9caf003a68169f008f5c79f7b781a9792879bb94d8e35d6e28c85fa8e26",
      },
    },
  },
  python = { type = "string", default = "" }, -- such as "3.12", which runs python3.12
}
inputs = { "locked/black-26.10.1.txt" }

local environment = require("python_environment")

host = function(opts) return environment.host(opts.python) end
secret_env = environment.secrets
dependencies = { environment.uv }

requirements = function(opts)
  return environment.of_release(opts.python, "black", opts.version, options.version.known[opts.version])
end

fetch = function(ctx, opts)
  environment.fetch_locked(ctx, opts.python, "black", opts.version, options.version.known[opts.version])
end

install = function(ctx) environment.install(ctx) end

products = { black = "bin/black", blackd = "bin/blackd" }
