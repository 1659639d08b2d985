local checks = require("shipped_checks")

function test_releases(t) checks.wheels(t, "clang-format") end

function test_programs(t) checks.programs(t, { ["clang-format"] = "clang_format/data/bin/clang-format" }) end
