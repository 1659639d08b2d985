"""The templates of new recipes, by kind: short examples of good style, filled by `new_recipe`."""

_ARCHIVE = """\
-- <<name>>: programs of an archive.
--
-- envy downloads the archive, compares its digest, and unpacks it. For another version, change the
-- address and the digest: the error of the next sync names the new one.

identity = <<identity>>
<<platforms>>

<<source>>
<<stage>>

-- What `envy run` finds, by name, and what the scripts of dependents have on PATH.
<<products>>
<<exports>>
"""

_BINARY = """\
-- <<name>>: one program, downloaded as it is.
--
-- For another version, change the address and the digest: the error of the next sync names the new
-- one.

identity = <<identity>>
<<platforms>>

<<source>>

-- What `envy run` finds, by name, and what the scripts of dependents have on PATH.
<<products>>
<<exports>>
"""

_CMAKE = """\
-- <<name>>: built from source by CMake and ninja, which envy installs for the build alone.

identity = <<identity>>

-- What the build uses of the machine. Its version is part of the key; C++ adds "c++".
host = { "cc" }
dependencies = {
  { recipe = "envy.cmake@r1", needed_by = "build", use = "build" },
  { recipe = "envy.ninja@r1", needed_by = "build", use = "build" },
}

<<source>>
<<stage>>

build = function(ctx)
  ctx.exec {
    "cmake", "-S", ".", "-B", "out", "-G", "Ninja",
    "-DCMAKE_BUILD_TYPE=Release",
    "-DCMAKE_INSTALL_PREFIX=" .. ctx.install_dir,
    "-DCMAKE_INSTALL_LIBDIR=lib",
  }
  ctx.exec { "cmake", "--build", "out" } -- with as many jobs as are free
end

install = function(ctx) ctx.exec { "cmake", "--install", ctx.stage_dir .. "/out" } end

<<products>>
<<exports>>
"""

_MAKE = """\
-- <<name>>: built from source by make.

identity = <<identity>>

-- What the build uses of the machine. Its version is part of the key.
host = { "cc", "make" }

<<source>>
<<stage>>

build = function(ctx) ctx.exec { "make" } end -- with as many jobs as are free

<<install_make>>

<<products>>
<<exports>>
"""

_AUTOTOOLS = """\
-- <<name>>: built from source by configure and make.

identity = <<identity>>

-- What the build uses of the machine. Its version is part of the key.
host = { "cc", "make" }

<<source>>
<<stage>>

build = function(ctx)
  ctx.exec { "./configure", "--prefix=" .. ctx.install_dir }
  ctx.exec { "make" } -- with as many jobs as are free
end

install = function(ctx) ctx.exec({ "make", "install" }, { cwd = ctx.stage_dir }) end

<<products>>
<<exports>>
"""

_VENV = """\
-- <<name>>: a Python environment with packages of the index.
--
-- uv resolves the requirements once, to releases with digests; all environments share the files of
-- their packages. To change them, change the list.

identity = <<identity>>

local REQUIREMENTS = { <<requirements>> }

-- An environment links to the interpreter, so each interpreter needs an environment of its own.
host = { python3 = [[python3 -c 'import sys; print(*sys.version_info[:3], sys.base_prefix)']] }
secret_env = { "PIP_CONFIG_FILE", "PIP_EXTRA_INDEX_URL", "PIP_INDEX_URL", "PIP_TRUSTED_HOST" }
dependencies = { { recipe = "envy.uv@r1", needed_by = "fetch", use = "build" } }

-- Only fetch may request anything: it resolves the requirements, and lets uv keep their packages.
fetch = function(ctx)
  -- The interpreter itself, where python3 is the script of a version manager.
  local words = { "python3", "-c", "import sys; print(sys.executable)" }
  local python = ctx.exec(words, { capture = true, quiet = true }).stdout:match("[^\\n]+")
  ctx.write("python.txt", python)
  ctx.write("requirements.in", table.concat(REQUIREMENTS, "\\n") .. "\\n")
  ctx.uv {
    "pip", "compile", "--quiet", "--universal", "--generate-hashes", "--no-header", "--no-annotate",
    "--python", python, "--output-file", "requirements.txt", "requirements.in",
  }
  ctx.uv {
    "pip", "install", "--quiet", "--no-deps", "--require-hashes", "--target", "packages",
    "--requirement", "requirements.txt", "--python", python,
  }
  ctx.commit_fetch("requirements.txt", "python.txt")
end

install = function(ctx)
  local python = ctx.read(ctx.stage_dir .. "/python.txt")
  ctx.uv { "venv", "--quiet", "--allow-existing", "--python", python, "." }
  ctx.uv {
    "pip", "install", "--quiet", "--no-deps", "--require-hashes", "--compile-bytecode",
    "--requirement", ctx.stage_dir .. "/requirements.txt", "--python", "bin/python",
  }
end

<<products>>
exports = { path = { "bin" }, env = { VIRTUAL_ENV = "{{asset}}" } }
"""

_NPM = """\
-- <<name>>: a program of npm, with its dependencies.
--
-- npm resolves the release once, to a lock with digests, and installs what the lock has. No script
-- of a package is run.

identity = <<identity>>

local PACKAGE = <<package>>

dependencies = {
  "envy.node@r1", -- which runs the program
  { recipe = "envy.npm@r1", needed_by = "fetch", use = "build" },
}

fetch = function(ctx)
  local npm = {
    ctx.product("npm"), "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier",
    "--omit=dev", "--cache", ctx.tmp_dir .. "/npm-cache",
  }
  ctx.write("program/package.json", "{}\\n")
  local words = { "install", "--package-lock-only", "--save-exact", PACKAGE }
  ctx.exec(envy.join(npm, words), { cwd = "program" })
  ctx.exec(envy.join(npm, { "ci" }), { cwd = "program" })
  ctx.commit_fetch("program")
end

install = function(ctx) ctx.copy(ctx.stage_dir .. "/program/.", ".") end

products = {}
for _, name in ipairs { <<programs>> } do
  products[name] = { path = "node_modules/.bin/" .. name, with = "node" }
end
"""

_USER_MANAGED = """\
-- <<name>>: something that this machine needs, outside of envy's cache.
--
-- envy asks before the first install of a run. Both scripts run in the folder of the project, with
-- the user's environment; `install` only where `check` fails.

identity = <<identity>>

check = <<check>>
install = <<install>>
"""

_PRODUCT = """\
-- <<name>>: a program that this recipe contains itself.

identity = <<identity>>

local SCRIPT = [[
#!/bin/sh
echo "<<name>>: $*"
]]

install = function(ctx)
  ctx.write(<<path>>, SCRIPT)
  ctx.chmod(<<path>>, "755")
end

-- What `envy run` finds, by name, and what the scripts of dependents have on PATH.
<<products>>
<<exports>>
"""

TEMPLATES = {
    "archive": _ARCHIVE,
    "binary": _BINARY,
    "cmake": _CMAKE,
    "make": _MAKE,
    "autotools": _AUTOTOOLS,
    "venv": _VENV,
    "npm": _NPM,
    "user-managed": _USER_MANAGED,
    "product": _PRODUCT,
}
