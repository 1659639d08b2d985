local checks = require("shipped_checks")

function test_releases(t) checks.wheels(t, "cmake", { subdir = "cmake/data" }) end

function test_programs(t) checks.programs(t, { cmake = "bin/cmake", ctest = "bin/ctest", cpack = "bin/cpack" }) end
