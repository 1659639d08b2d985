-- An isolated Python environment, created from a Python of the machine.
--
--   { recipe = "envy.python@r1", options = { requirements = { "requests==2.32.5", "pytest" } } }
--
-- Each element of `requirements` is a line of a requirements file. A manifest is Lua, so it can
-- read the lines from such a file. A change of the file then creates another environment:
--
--   local requirements = {}
--   for line in io.lines("requirements.txt") do requirements[#requirements + 1] = line end
--
-- uv resolves the lines once, when the environment is made, to releases with digests. Lines that
-- have digests themselves (`uv pip compile --generate-hashes` writes such a file) need no resolution.
--
-- Projects with the same requirements share one environment, and all environments share the files
-- of their packages. Do not install anything into one by hand. It contains no pip, unless "pip" is
-- one of the requirements.

identity = "envy.python@r1"
about = {
  license = "PSF-2.0",
  description = "An isolated Python environment, created from a Python of the machine",
}
platforms = { "linux", "darwin" }
options = {
  requirements = { type = "array", default = {} },
  python = { type = "string", default = "" }, -- such as "3.12", which runs python3.12
}

local environment = require("python_environment")

host = function(opts) return environment.host(opts.python) end
secret_env = environment.secrets

dependencies = function(opts)
  if #opts.requirements == 0 then return {} end
  return { environment.uv }
end

requirements = function(opts) return environment.requirements(opts.python, opts.requirements) end

fetch = function(ctx, opts)
  if #opts.requirements > 0 then environment.fetch(ctx, opts.python, opts.requirements) end
end

install = function(ctx, opts)
  if #opts.requirements > 0 then return environment.install(ctx) end
  -- Nothing is needed but the machine's Python.
  local python = environment.python(opts.python)
  local probe = ctx.exec({ python, "-c", "import venv" }, { check = false, quiet = true })
  if probe.exit_code ~= 0 then
    error("this " .. python .. " has no module venv: install the system package that contains it "
      .. "(often python3-venv), or put another " .. python .. " first on PATH", 0)
  end
  ctx.exec { python, "-m", "venv", "--without-pip", "." }
end

products = { python = "bin/python", python3 = "bin/python3" }
exports = { path = { "bin" }, env = { VIRTUAL_ENV = "{{asset}}" } }
