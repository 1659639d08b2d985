local checks = require("shipped_checks")

function test_installs_what_the_lock_beside_it_has(t) checks.npm_program(t, "eslint", "eslint") end
