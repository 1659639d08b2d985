local checks = require("shipped_checks")

function test_installs_what_the_list_beside_it_has(t)
  checks.python_program(t, "mypy", { "mypy", "dmypy", "stubgen", "stubtest" })
end
