local checks = require("shipped_checks")

function test_releases(t) checks.wheels(t, "ruff") end

function test_programs(t) checks.programs(t, { ruff = "bin/ruff" }) end
