local checks = require("shipped_checks")

function test_releases(t)
  checks.releases(t, function() return "npm:better-sqlite3@12.11.1" end)
end

function test_builds_the_amalgamation_in_the_package(t)
  local it = checks.library(t, "npm:better-sqlite3@12.11.1",
    { ["package/deps/sqlite3/sqlite3.c"] = "" }, { ["lib/libsqlite3.a"] = "" })
  t.equal(it.files, { "lib/libsqlite3.a", "lib/pkgconfig/sqlite3.pc" })
  t.contains(it.read("lib/pkgconfig/sqlite3.pc"), "-lsqlite3 -lm -lpthread -ldl")
end
