identity = "envy.meson@r1"
about = {
  version = "1.12.1",
  license = "Apache-2.0",
  description = "A fast build system",
}
platforms = { "linux", "darwin" }

-- A known version has a list of the files of the release and of all that it needs, beside the recipe;
-- its digest is here. Any other version is resolved when it is installed.
options = {
  version = {
    type = "string",
    default = "1.12.1",
    known = {
      ["1.12.1"] = {
        any = "4ff3146f5457f4153e1804e194d90c580565bc163b1f4881f6519e3ba3e50e69",
      },
    },
  },
  python = { type = "string", default = "" }, -- such as "3.12", which runs python3.12
}
inputs = { "locked/meson-1.12.1.txt" }

local environment = require("python_environment")

host = function(opts) return environment.host(opts.python) end
secret_env = environment.secrets
dependencies = { environment.uv }

requirements = function(opts)
  return environment.of_release(opts.python, "meson", opts.version, options.version.known[opts.version])
end

fetch = function(ctx, opts)
  environment.fetch_locked(ctx, opts.python, "meson", opts.version, options.version.known[opts.version])
end

install = function(ctx) environment.install(ctx) end

products = { meson = "bin/meson" }
