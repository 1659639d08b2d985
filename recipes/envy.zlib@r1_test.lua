local checks = require("shipped_checks")

function test_releases(t)
  checks.releases(t, function() return "pypi:grpcio==1.85.3" end, { kind = "sdist" })
end

function test_builds_the_sources_in_the_archive(t)
  local top = "grpcio-1.85.3/third_party/zlib/"
  local it = checks.library(t, "pypi:grpcio==1.85.3",
    { [top .. "zlib.h"] = "/* (C) Mark Adler */\n", [top .. "inflate.c"] = "" },
    { ["lib/libz.a"] = "", ["include/zlib.h"] = "" })
  t.equal(it.files, { "LICENSE", "include/zlib.h", "lib/libz.a", "lib/pkgconfig/zlib.pc" })
  t.equal(it.read("LICENSE"), " (C) Mark Adler ")
  t.contains(it.read("lib/pkgconfig/zlib.pc"), "Version: " .. about.version .. "\n")
end

function test_other_versions_are_refused(t)
  t.error_contains(function() t.load { version = "1.2.3" } end, "1.3.1.1")
end
