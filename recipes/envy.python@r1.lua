-- An isolated Python environment, made from the interpreter at hand.
--
--   { recipe = "envy.python@r1", options = { requirements = { "requests==2.32.5", "pytest" } } }
--
-- Each element of `requirements` is a line of a pip requirements file. A manifest is Lua, so those
-- of a project can be read from one, and a change of it makes another environment:
--
--   local requirements = {}
--   for line in io.lines("requirements.txt") do requirements[#requirements + 1] = line end
--
-- Projects that ask for the same share one environment. So nothing is to be installed into it by
-- hand, and there is no pip in it (unless a requirement says "pip").

identity = "envy.python@r1"
about = {
  license = "PSF-2.0",
  description = "An isolated Python environment, made from the machine's own python3",
}
platforms = { "linux", "darwin" }
options = {
  requirements = { type = "array", default = {} },
  pip = { type = "string", default = "25.3" }, -- the version that installs the requirements
}

local PIP_SHA256 = "9655943313a94722b7774661c21049070f6bbb0a1516bf02f7c8d5d9201514cd"

-- The environment links to the interpreter, so another interpreter makes another environment.
host = {
  python3 = [[python3 -c 'import sys; print(*sys.version_info[:3], sys.base_prefix)']],
}

-- Where pip takes packages from. pip's files of settings are found by themselves.
secret_env = {
  "PIP_CONFIG_FILE",
  "PIP_EXTRA_INDEX_URL",
  "PIP_FIND_LINKS",
  "PIP_INDEX_URL",
  "PIP_TRUSTED_HOST",
}

-- pip comes from the package index, not from ensurepip: many systems package that separately.
fetch = function(_, opts)
  if #opts.requirements == 0 then return nil end
  return {
    source = "pypi:pip==" .. opts.pip,
    sha256 = opts.pip == options.pip.default and PIP_SHA256 or nil,
  }
end

install = function(ctx, opts)
  local asked = ctx.exec({ "python3", "-c", "import venv" }, { check = false, quiet = true })
  if asked.exit_code ~= 0 then
    error("this python3 has no module venv: install the package of your system that has it "
      .. "(often python3-venv), or put another python3 first on PATH", 0)
  end
  ctx.exec { "python3", "-m", "venv", "--without-pip", "." }
  if #opts.requirements > 0 then
    local file = ctx.stage_dir .. "/requirements.txt"
    ctx.write(file, table.concat(opts.requirements, "\n") .. "\n")
    ctx.exec {
      "bin/python", ctx.stage_dir .. "/pip", "install", "--disable-pip-version-check",
      "--no-cache-dir", "--requirement", file,
    }
  end
end

products = { python = "bin/python", python3 = "bin/python3" }
exports = { path = { "bin" }, env = { VIRTUAL_ENV = "{{asset}}" } }
