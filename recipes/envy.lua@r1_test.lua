local checks = require("shipped_checks")

function test_builds_the_sources_in_the_archive(t)
  local it = checks.library(t, "pypi:lupa==2.8", {
    ["lupa-2.8/third-party/lua54/lua.h"] = "/****\n* Copyright (C) Lua.org\n****/\n",
    ["lupa-2.8/third-party/lua54/lua.c"] = "",
  }, { ["bin/lua"] = "#!/bin/sh\n" })
  t.equal(it.files, { "LICENSE", "bin/lua" })
  t.contains(it.read("LICENSE"), "Copyright (C) Lua.org")
  t.equal(it.products, { lua = "bin/lua" })
end

function test_other_versions_are_refused(t)
  t.error_contains(function() t.load { version = "5.2.4" } end, "5.3.6")
end
