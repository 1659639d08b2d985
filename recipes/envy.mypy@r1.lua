identity = "envy.mypy@r1"
about = {
  version = "2.4.1",
  license = "MIT",
  description = "A static type checker for Python",
}
platforms = { "linux", "darwin" }

-- A known version has a list of the files of the release and of all that it needs, beside the recipe;
-- its digest is here. Any other version is resolved when it is installed.
options = {
  version = {
    type = "string",
    default = "2.4.1",
    known = {
      ["2.4.1"] = {
        any = "da37c54dbe25b51cd1d57f7ea3d83061817c0cd423b436cf34d1e3957aa4dfc6",
      },
    },
  },
  python = { type = "string", default = "" }, -- such as "3.12", which runs python3.12
}
inputs = { "locked/mypy-2.4.1.txt" }

local environment = require("python_environment")

host = function(opts) return environment.host(opts.python) end
secret_env = environment.secrets
dependencies = { environment.uv }

requirements = function(opts)
  return environment.of_release(opts.python, "mypy", opts.version, options.version.known[opts.version])
end

fetch = function(ctx, opts)
  environment.fetch_locked(ctx, opts.python, "mypy", opts.version, options.version.known[opts.version])
end

install = function(ctx) environment.install(ctx) end

products = { mypy = "bin/mypy", dmypy = "bin/dmypy", stubgen = "bin/stubgen", stubtest = "bin/stubtest" }
