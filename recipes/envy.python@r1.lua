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

local function python(opts) return "python" .. (opts.python == "" and "3" or opts.python) end

-- The environment links to the interpreter, so each interpreter needs an environment of its own.
host = function(opts)
  local words = [[ -c 'import sys; print(*sys.version_info[:3], sys.base_prefix)']]
  return { [python(opts)] = python(opts) .. words }
end

dependencies = function(opts)
  if #opts.requirements == 0 then return {} end
  return { { recipe = "envy.uv@r1", needed_by = "fetch", use = "build" } }
end

-- The package index of pip. pip finds its configuration files without help.
secret_env = {
  "PIP_CONFIG_FILE",
  "PIP_EXTRA_INDEX_URL",
  "PIP_INDEX_URL",
  "PIP_TRUSTED_HOST",
}

-- What names a file or folder, in a line of a requirements file.
local LOCAL = {
  "^%s*%-%-find%-links", "^%s*%-f", "^%s*%-%-editable", "^%s*%-e", "^%s*[./~]", "@%s*[./~]", "file:",
}

-- uv unpacks the packages into its cache, and links them to a folder that is thrown away.
fetch = function(ctx, opts)
  if #opts.requirements == 0 then return nil end
  for _, line in ipairs(opts.requirements) do
    for _, pattern in ipairs(LOCAL) do
      if line:match(pattern) then
        error('"' .. line .. '" takes packages from a folder of this machine, whose path and times would '
          .. "become part of the environment: publish them in an index", 0)
      end
    end
  end
  local lines = table.concat(opts.requirements, "\n") .. "\n"
  if lines:find("--hash=", 1, true) then
    ctx.write("requirements.txt", lines)
  else
    ctx.write("requirements.in", lines)
    ctx.uv {
      "pip", "compile", "--quiet", "--universal", "--generate-hashes", "--no-header", "--no-annotate",
      "--python", python(opts), "--output-file", "requirements.txt", "requirements.in",
    }
  end
  ctx.uv {
    "pip", "install", "--quiet", "--no-deps", "--require-hashes", "--requirement", "requirements.txt",
    "--python", python(opts), "--target", "packages",
  }
  ctx.commit_fetch("requirements.txt")
end

install = function(ctx, opts)
  local probe = ctx.exec({ python(opts), "-c", "import venv" }, { check = false, quiet = true })
  if probe.exit_code ~= 0 then
    error("this " .. python(opts) .. " has no module venv: install the system package that contains "
      .. "it (often python3-venv), or put another " .. python(opts) .. " first on PATH", 0)
  end
  ctx.exec { python(opts), "-m", "venv", "--without-pip", "." }
  if #opts.requirements > 0 then
    -- Compiled here, or the first import would write into the package. A module in the syntax of
    -- another Python does not compile, and is left as it is.
    ctx.uv {
      "pip", "install", "--quiet", "--no-deps", "--require-hashes", "--requirement",
      ctx.stage_dir .. "/requirements.txt", "--python", "bin/python", "--compile-bytecode",
    }
  end
end

products = { python = "bin/python", python3 = "bin/python3" }
exports = { path = { "bin" }, env = { VIRTUAL_ENV = "{{asset}}" } }
