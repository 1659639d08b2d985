local checks = require("shipped_checks")

function test_releases(t) checks.wheels(t, "ziglang", { subdir = "ziglang" }) end

function test_programs(t) checks.programs(t, { zig = "zig" }) end

function test_installs_the_release_in_the_wheel(t)
  t.serve("pypi:ziglang==" .. about.version, {
    files = { ["ziglang/zig"] = "#!/bin/sh\n", ["ziglang/lib/std.zig"] = "", ["ziglang/__init__.py"] = "" },
  })
  local it = t.install()
  t.equal(it.files, { "__init__.py", "lib/std.zig", "zig" })
  t.equal(it.exports, { path = { "." }, env = { ZIG = "{{asset}}/zig" } })
end
