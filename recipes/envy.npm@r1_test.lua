local checks = require("shipped_checks")

function test_releases(t)
  t.package("envy.node@r1", { products = { node = "bin/node" } })
  checks.releases(t, function(version) return "npm:npm@" .. version end)
end

function test_node_runs_its_programs(t)
  t.package("envy.node@r1", { products = { node = "bin/node" } })
  t.serve("npm:npm@" .. about.version, {
    files = { ["package/bin/npm-cli.js"] = "//", ["package/bin/npx-cli.js"] = "//" },
    executable = { "package/bin/npm-cli.js", "package/bin/npx-cli.js" },
  })
  local it = t.install()
  t.equal(it.dependencies, { { recipe = "envy.node@r1", use = "run", needed_by = "check" } })
  t.contains(it.files, "bin/npm-cli.js")
  t.equal(it.products.npm, "bin/npm-cli.js")
end
