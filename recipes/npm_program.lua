-- Console programs of npm: what envy.npmtool and the recipes of such programs have in common.

local program = {}

program.dependencies = {
  "envy.node@r1", -- which runs the programs
  { recipe = "envy.npm@r1", needed_by = "fetch", use = "build" },
}

-- npm would link to a folder, take an archive without a digest, or read a word as an option.
local function refuse_others(packages)
  for _, package in ipairs(packages) do
    local rest = package:gsub("^@[%w._-]+/", "")
    if not rest:match("^%w[%w._-]*$") and not rest:match("^%w[%w._-]*@[^/:]+$") then
      error('"' .. package .. '" is not a package of the registry, such as "prettier@3.6.2"', 0)
    end
  end
end

-- Resolve packages to a lock, and unpack what it has. `lock` is the text of a package-lock.json.
function program.fetch(ctx, packages, lock, package, release)
  refuse_others(packages)
  local npm = {
    ctx.product("npm"), "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier",
    "--omit=dev", "--cache", ctx.tmp_dir .. "/npm-cache",
  }
  local here = { cwd = "program" }
  ctx.write("program/package.json", "{}\n")
  if lock then
    -- What the lock was made from.
    ctx.write("program/package.json", '{"dependencies": {"' .. package .. '": "' .. release .. '"}}\n')
    ctx.write("program/package-lock.json", lock)
  else
    ctx.exec(envy.join(npm, { "install", "--package-lock-only", "--save-exact" }, packages), here)
  end
  ctx.exec(envy.join(npm, { "ci" }), here)
  ctx.commit_fetch("program")
end

-- The same for a release of a package with a lock beside the recipe, which has the digest in `digests`.
function program.fetch_locked(ctx, package, release, digests)
  if not digests then return program.fetch(ctx, { package .. "@" .. release }) end
  local name = ctx.fetch {
    source = "locked/" .. package .. "-" .. release .. ".json",
    sha256 = digests.any,
  }
  program.fetch(ctx, {}, ctx.read(name), package, release)
end

-- Install what was unpacked. It must have these programs.
function program.install(ctx, programs)
  ctx.copy(ctx.stage_dir .. "/program/.", ".")
  for _, name in ipairs(programs) do
    if not ctx.exists("node_modules/.bin/" .. name) then
      local found = ctx.exists("node_modules/.bin") and table.concat(ctx.ls("node_modules/.bin"), ", ")
      error("there is no program " .. name .. "; there is " .. (found or "none"), 0)
    end
  end
end

function program.products(names)
  local products = {}
  for _, name in ipairs(names) do
    products[name] = { path = "node_modules/.bin/" .. name, with = "node" }
  end
  return products
end

return program
