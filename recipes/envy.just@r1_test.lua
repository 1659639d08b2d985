local checks = require("shipped_checks")

function test_releases(t) checks.wheels(t, "rust-just") end

function test_programs(t) checks.programs(t, { just = "bin/just" }) end
