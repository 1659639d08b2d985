local checks = require("shipped_checks")

function test_releases(t) checks.wheels(t, "ninja") end

function test_programs(t) checks.programs(t, { ninja = "bin/ninja" }) end

function test_old_wheels_have_the_program_in_a_package(t)
  t.serve("pypi:ninja==1.10.2.4", { files = { ["ninja/data/bin/ninja"] = "#!/bin/sh\n" } })
  local it = t.install { version = "1.10.2.4" }
  t.ok(it.is_executable("bin/ninja"))
end
