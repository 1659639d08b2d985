-- Python environments with the packages of requirements: what envy.python, envy.pytool and the
-- recipes of Python programs have in common.
--
-- uv resolves requirements to releases with digests, unpacks their wheels into its cache (in envy's
-- cache, shared by all environments), and links their files into the environment. No file or folder
-- of the machine is a requirement: its path and times would become part of the environment.

local environment = {}

-- What names a file or folder, in a line of a requirements file.
local LOCAL = {
  "^%s*%-%-find%-links", "^%s*%-f", "^%s*%-%-editable", "^%s*%-e", "^%s*[./~]", "@%s*[./~]", "file:",
}

-- The name of the interpreter on the machine: `version` is such as "3.12", or "" for any.
function environment.python(version) return "python" .. (version == "" and "3" or version) end

-- An environment links to the interpreter, so each interpreter needs an environment of its own.
function environment.host(version)
  local python = environment.python(version)
  return { [python] = python .. [[ -c 'import sys; print(*sys.version_info[:3], sys.base_prefix)']] }
end

-- The package index of pip. pip finds its configuration files without help.
environment.secrets = {
  "PIP_CONFIG_FILE",
  "PIP_EXTRA_INDEX_URL",
  "PIP_INDEX_URL",
  "PIP_TRUSTED_HOST",
}

environment.uv = { recipe = "envy.uv@r1", needed_by = "fetch", use = "build" }

-- What includes a file, which would be read once, and not again when it has changed.
local INCLUDES = { "^%s*%-r", "^%s*%-c", "^%s*%-%-requirement", "^%s*%-%-constraint" }

local function refuse_local(text)
  for line in text:gmatch("[^\r\n]+") do
    for _, pattern in ipairs(INCLUDES) do
      if line:match(pattern) and not line:find("://", 1, true) then
        error('"' .. line .. '" includes a file of this machine, of which a change would not be seen: '
          .. "let the manifest read its lines, with io.lines", 0)
      end
    end
    for _, pattern in ipairs(LOCAL) do
      if line:match(pattern) then
        error('"' .. line .. '" takes packages from a folder of this machine, whose path and times would '
          .. "become part of the environment: publish them in an index", 0)
      end
    end
  end
end

-- What the lock has to know of requirements: their lines, and the oldest Python that they are for.
function environment.requirements(version, lines)
  refuse_local(table.concat(lines, "\n"))
  return { lines = lines, python = version:match("^3%.%d+") }
end

-- The same for a release of a package: nothing is resolved if it has a list beside the recipe.
function environment.of_release(version, package, release, digests)
  return environment.requirements(version, digests and {} or { package .. "==" .. release })
end

-- Resolve requirements, and unpack what they need. Nothing is resolved that the lock has, nor lines
-- with digests.
function environment.fetch(ctx, version, lines)
  local text = table.concat(lines, "\n") .. "\n"
  refuse_local(text)
  -- uv asks a script of a version manager anew each time, and an interpreter once.
  local words = { environment.python(version), "-c", "import sys; print(sys.executable)" }
  local interpreter = ctx.exec(words, { capture = true, quiet = true }).stdout:match("[^\n]+")
  local locked = ctx.locked_requirements()
  if locked then
    ctx.write("requirements.txt", locked)
  elseif text:find("--hash=", 1, true) then
    ctx.write("requirements.txt", text)
  else
    ctx.write("requirements.in", text)
    ctx.uv {
      "pip", "compile", "--quiet", "--universal", "--generate-hashes", "--no-header", "--no-annotate",
      "--python", interpreter, "--output-file", "requirements.txt", "requirements.in",
    }
  end
  -- Linked to a folder that is thrown away: there is no other way to fill the cache.
  ctx.uv {
    "pip", "install", "--quiet", "--no-deps", "--require-hashes", "--requirement", "requirements.txt",
    "--python", interpreter, "--target", "packages",
  }
  ctx.write("interpreter.txt", interpreter)
  ctx.commit_fetch("requirements.txt", "interpreter.txt")
end

-- The same for a release of a package with a list beside the recipe, which has the digest in `digests`.
function environment.fetch_locked(ctx, version, package, release, digests)
  if not digests then return environment.fetch(ctx, version, { package .. "==" .. release }) end
  local list = ctx.fetch {
    source = "locked/" .. package .. "-" .. release .. ".txt",
    sha256 = digests.any,
  }
  environment.fetch(ctx, version, { (ctx.read(list):gsub("\n$", "")) })
end

-- Create the environment in the install folder, without a network. It must have these programs.
function environment.install(ctx, programs)
  local interpreter = ctx.read(ctx.stage_dir .. "/interpreter.txt")
  ctx.uv { "venv", "--quiet", "--allow-existing", "--python", interpreter, "." }
  -- Compiled here, or the first import would write into the package. A module in the syntax of
  -- another Python does not compile, and is left as it is.
  ctx.uv {
    "pip", "install", "--quiet", "--no-deps", "--require-hashes", "--requirement",
    ctx.stage_dir .. "/requirements.txt", "--python", "bin/python", "--compile-bytecode",
  }
  for _, name in ipairs(programs or {}) do
    if not ctx.exists("bin/" .. name) then
      local found = {}
      for _, other in ipairs(ctx.ls("bin")) do
        if not other:match("^python") and not other:match("activate") and not other:match("%.bat$") then
          found[#found + 1] = other
        end
      end
      error("there is no program " .. name .. " in bin; there is " .. table.concat(found, ", "), 0)
    end
  end
end

-- The products of an environment: the programs that it has, by name.
function environment.products(names)
  local products = {}
  for _, name in ipairs(names) do products[name] = "bin/" .. name end
  return products
end

return environment
