-- What the tests of the shipped recipes have in common.

local checks = {}

-- Each known version is `source(version, machine)` with the digest that the recipe has for the machine,
-- and with the fields `more`; a version that is not known has no digest.
function checks.releases(t, source, more)
  local count = 0
  for version, digests in pairs(options.version.known) do
    for machine, digest in pairs(digests) do
      if machine == "any" then machine = "linux-x86_64" end
      t.platform(machine)
      local wanted = { source = source(version, machine), sha256 = digest }
      for name, value in pairs(more or {}) do wanted[name] = value end
      t.equal(t.load({ version = version }).sources, { wanted }, version .. " on " .. machine)
      t.ok(digest:match("^%x+$") and #digest == 64, "the digest of " .. version)
      count = count + 1
    end
  end
  t.ok(count > 0, "known versions")
  t.ok(options.version.known[options.version.default], "the default version is known")
  t.equal(options.version.default, about.version)
  if not options.version.choices then
    t.platform("linux-x86_64")
    t.equal(t.load({ version = "0.0.1" }).sources[1].sha256, nil, "the digest of another version")
  end
end

-- The same for a wheel of the package index, by the name of its package.
function checks.wheels(t, package, more)
  checks.releases(t, function(version) return "pypi:" .. package .. "==" .. version end, more)
end

-- The recipe is for Linux and macOS only, and has these programs.
function checks.programs(t, programs)
  t.equal(t.load().products, programs)
  t.each_platform(function(name)
    t.equal(t.load().excluded, name:match("windows") ~= nil, name)
  end)
end

-- A machine on which an environment of Python can be made: uv only makes the files that it is told to.
function checks.python(t, programs)
  t.package("envy.uv@r1", { products = { uv = "bin/uv" } })
  t.program("python3", "echo 3 12 1 /usr")
  t.answer("print(sys.executable)", "/usr/bin/python3\n")
  t.answer("bin/uv", function(call)
    if call.text:find("uv pip compile", 1, true) then
      return { files = { ["requirements.txt"] = "resolved==1 --hash=sha256:00\n" } }
    end
    if not call.text:find("uv venv", 1, true) then return {} end
    local files = { ["bin/python"] = "#!/bin/sh\n" }
    for _, name in ipairs(programs) do files["bin/" .. name] = "#!/bin/sh\n" end
    return { files = files }
  end)
end

-- A program in an environment of its own, whose known version has a list of files beside the recipe.
function checks.python_program(t, package, programs)
  checks.python(t, programs)
  local it = t.install()
  for _, name in ipairs(programs) do t.equal(it.products[name], "bin/" .. name) end
  local installed = 0
  for _, call in ipairs(t.calls()) do
    if call.text:find("pip install", 1, true) then
      t.contains(call.text, "--require-hashes")
      installed = installed + 1
    end
    t.ok(not call.text:find("pip compile", 1, true), "nothing is resolved")
  end
  t.equal(installed, 2)
  t.contains(t.requests(), "locked/" .. package .. "-" .. about.version .. ".txt")
  t.equal(t.load().requirements, { lines = {}, python = "" })
  local other = t.load { version = "0.0.1", python = "3.12" }
  t.equal(other.requirements, { lines = { package .. "==0.0.1" }, python = "3.12" })
  t.equal(other.host, { "python3.12" })
end

-- A machine on which npm makes the files that it is told to.
function checks.npm(t, programs)
  t.package("envy.node@r1", { products = { node = "bin/node" } })
  t.package("envy.npm@r1", { products = { npm = "bin/npm" } })
  t.answer("bin/npm", function(call)
    if not call.text:match(" ci$") then return {} end
    local files = { ["node_modules/package.json"] = "{}" }
    for _, name in ipairs(programs) do files["node_modules/.bin/" .. name] = "#!/bin/sh\n" end
    return { files = files }
  end)
end

-- A program of npm, whose known version has a lock beside the recipe.
function checks.npm_program(t, package, program)
  checks.npm(t, { program })
  local it = t.install()
  t.equal(it.products[program], "node_modules/.bin/" .. program)
  t.ok(it.is_executable("node_modules/.bin/" .. program))
  local runs = {}
  for _, call in ipairs(t.calls()) do runs[#runs + 1] = call.text:match(" (%S+)$") end
  t.equal(runs, { "ci" }, "what npm was told")
  t.equal(t.requests(), { "locked/" .. package .. "-" .. about.version .. ".json" })
  t.equal(#it.dependencies, 2)
end

-- A library that is built from these sources; cmake installs the files that it is told to.
function checks.library(t, source, files, installed)
  t.package("envy.cmake@r1", { products = { cmake = "bin/cmake" } })
  t.package("envy.ninja@r1", { products = { ninja = "bin/ninja" } })
  t.package("envy.zig@r1", { products = { zig = "zig" } })
  t.serve(source, { files = files })
  t.answer("cmake", function(call)
    return call.text:find("--install", 1, true) and { files = installed } or {}
  end)
  local it = t.install()
  local runs = {}
  for _, call in ipairs(t.calls()) do
    if call.text:find("cmake", 1, true) and call.answered then runs[#runs + 1] = call.text end
  end
  t.equal(#runs, 3, "configure, build and install")
  t.contains(runs[1], "-DCMAKE_C_COMPILER=zig;cc")
  for _, one in ipairs(it.dependencies) do t.equal(one.use, "build", one.recipe) end
  return it
end

return checks
