local checks = require("shipped_checks")

function test_releases(t) checks.wheels(t, "uv") end

function test_programs(t) checks.programs(t, { uv = "bin/uv", uvx = "bin/uvx" }) end
