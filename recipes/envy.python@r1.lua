-- An isolated Python environment, created from the machine's own python3.
--
--   { recipe = "envy.python@r1", options = { requirements = { "requests==2.32.5", "pytest" } } }
--
-- Each element of `requirements` is a line of a pip requirements file. A manifest is Lua, so it can
-- read the lines from such a file. A change of the file then creates another environment:
--
--   local requirements = {}
--   for line in io.lines("requirements.txt") do requirements[#requirements + 1] = line end
--
-- Projects with the same requirements share one environment. Do not install anything into it by
-- hand. It contains no pip, unless "pip" is one of the requirements.

identity = "envy.python@r1"
about = {
  license = "PSF-2.0",
  description = "An isolated Python environment, created from the machine's own python3",
}
platforms = { "linux", "darwin" }
options = {
  requirements = { type = "array", default = {} },
  pip = { -- the version that installs the requirements
    type = "string",
    default = "25.3",
    known = {
      ["25.3"] = { any = "9655943313a94722b7774661c21049070f6bbb0a1516bf02f7c8d5d9201514cd" },
    },
  },
}

-- The environment links to the interpreter, so each interpreter needs an environment of its own.
host = {
  python3 = [[python3 -c 'import sys; print(*sys.version_info[:3], sys.base_prefix)']],
}

-- The package index of pip. pip finds its configuration files without help.
secret_env = {
  "PIP_CONFIG_FILE",
  "PIP_EXTRA_INDEX_URL",
  "PIP_FIND_LINKS",
  "PIP_INDEX_URL",
  "PIP_TRUSTED_HOST",
}

-- pip comes from the package index, because many systems package ensurepip separately.
fetch = function(_, opts)
  if #opts.requirements == 0 then return nil end
  local digests = options.pip.known[opts.pip] or {}
  return {
    source = "pypi:pip==" .. opts.pip,
    sha256 = digests.any,
  }
end

install = function(ctx, opts)
  local probe = ctx.exec({ "python3", "-c", "import venv" }, { check = false, quiet = true })
  if probe.exit_code ~= 0 then
    error("this python3 has no module venv: install the system package that contains it "
      .. "(often python3-venv), or put another python3 first on PATH", 0)
  end
  ctx.exec { "python3", "-m", "venv", "--without-pip", "." }
  if #opts.requirements > 0 then
    local file = ctx.stage_dir .. "/requirements.txt"
    ctx.write(file, table.concat(opts.requirements, "\n") .. "\n")
    ctx.exec {
      "bin/python", ctx.stage_dir .. "/pip", "install", "--disable-pip-version-check",
      "--no-cache-dir", "--no-compile", "--requirement", file,
    }
    -- Compiled here, or the first import would write into the package. Python does not compare the
    -- compiled modules with their sources, which never change. A module in the syntax of another
    -- Python does not compile, and is left as it is.
    ctx.exec(
      { "bin/python", "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", "lib" },
      { check = false, quiet = true, env = { PYTHONHASHSEED = "0" } }
    )
  end
end

products = { python = "bin/python", python3 = "bin/python3" }
exports = { path = { "bin" }, env = { VIRTUAL_ENV = "{{asset}}" } }
