-- A console program of npm, with its dependencies, in a folder of its own.
--
--   { recipe = "envy.npmtool@r1", options = { package = "prettier", version = "3.6.2" } }
--
-- npm resolves the release and all that it needs once, to a lock with digests, and installs what
-- the lock has. No script of a package is run. `envy add npm:NAME` writes such an entry, and `envy x
-- npm:NAME` runs the program once.

identity = "envy.npmtool@r1"
about = {
  license = "that of the package",
  description = "Any console program of npm, with its dependencies",
}
platforms = { "linux", "darwin" }
options = {
  package = { type = "string", default = "" },
  version = { type = "string", default = "" }, -- the newest, if it is ""
  programs = { type = "array", default = {} }, -- the name of the package, if it is empty
  with = { type = "array", default = {} }, -- further packages, such as plugins: "NAME@VERSION"
}

local npm = require("npm_program")

dependencies = npm.dependencies

local function is_name(text) return text:match("^[a-z0-9][a-z0-9._-]*$") end

local function name_of(opts)
  local scope, name = opts.package:match("^@([^/]+)/(.+)$")
  if not is_name(name or opts.package) or scope and not is_name(scope) then
    error('option `package` is "' .. opts.package .. '", which is not the name of a package', 0)
  end
  return name or opts.package
end

fetch = function(ctx, opts)
  local version = opts.version == "" and "latest" or opts.version
  npm.fetch(ctx, envy.join({ name_of(opts) and opts.package .. "@" .. version }, opts.with))
end

local function programs_of(opts)
  return #opts.programs > 0 and opts.programs or { name_of(opts) }
end

install = function(ctx, opts) npm.install(ctx, programs_of(opts)) end

-- A query may name the package; a dot would look like another query.
alias = function(opts)
  if opts.package ~= "" then return (name_of(opts):gsub("%.", "-")) end
end

products = function(opts)
  if opts.package == "" then return {} end
  return npm.products(programs_of(opts))
end
