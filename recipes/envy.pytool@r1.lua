-- A console program of the package index, in an environment of its own.
--
--   { recipe = "envy.pytool@r1", options = { package = "httpie", version = "3.2.4",
--     programs = { "http", "https" } } }
--
-- `package` may have extras, such as "black[jupyter]", and `with` further requirements, such as
-- plugins. The release and all that it needs are resolved once, to files with digests. `envy add
-- pypi:NAME` writes such an entry, and `envy x pypi:NAME` runs the program once.

identity = "envy.pytool@r1"
about = {
  license = "that of the package",
  description = "Any console program of the Python package index, in an environment of its own",
}
platforms = { "linux", "darwin" }
options = {
  package = { type = "string", default = "" },
  version = { type = "string", default = "" }, -- the newest, if it is ""
  programs = { type = "array", default = {} }, -- the name of the package, if it is empty
  with = { type = "array", default = {} },
  python = { type = "string", default = "" }, -- such as "3.12", which runs python3.12
}

local environment = require("python_environment")

host = function(opts) return environment.host(opts.python) end
secret_env = environment.secrets
dependencies = { environment.uv }

local function name_of(opts)
  local name, rest = opts.package:match("^(%w[%w._-]*)(.*)$")
  if not name or rest ~= "" and not rest:match("^%[[%w._,-]+%]$") then
    error('option `package` is "' .. opts.package .. '", which is not the name of a package', 0)
  end
  return name
end

local function lines_of(opts)
  local pin = opts.version == "" and "" or "==" .. opts.version
  return envy.join({ name_of(opts) and opts.package .. pin }, opts.with)
end

requirements = function(opts)
  if opts.package ~= "" then return environment.requirements(opts.python, lines_of(opts)) end
end

fetch = function(ctx, opts) environment.fetch(ctx, opts.python, lines_of(opts)) end

local function programs_of(opts) return #opts.programs > 0 and opts.programs or { name_of(opts) } end

install = function(ctx, opts) environment.install(ctx, programs_of(opts)) end

-- A query may name the package; a dot would look like another query.
alias = function(opts)
  if opts.package ~= "" then return (name_of(opts):gsub("%.", "-")) end
end

products = function(opts)
  if opts.package == "" then return {} end
  return environment.products(programs_of(opts))
end
