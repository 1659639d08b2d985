local checks = require("shipped_checks")

function test_installs_a_release(t)
  checks.npm(t, { "prettier" })
  local it = t.install { package = "@scope/prettier", version = "3.6.2", with = { "plugin@1.0.0" } }
  t.equal(it.alias, "prettier")
  t.equal(it.products, { prettier = "node_modules/.bin/prettier" })
  t.contains(t.calls()[1].text, "--package-lock-only --save-exact @scope/prettier@3.6.2 plugin@1.0.0")
  t.ok(t.calls()[2].text:match(" ci$"))
end

function test_says_which_programs_there_are(t)
  checks.npm(t, { "other" })
  t.error_contains(function() t.install { package = "prettier" } end,
    "there is no program prettier; there is other")
end

function test_refuses_what_is_no_package(t)
  checks.npm(t, {})
  for _, name in ipairs { "../x", "https://example.org/x.tgz", "A B", "@/x" } do
    t.error_contains(function() t.install { package = name } end, "which is not the name of a package")
  end
  for _, name in ipairs { "./folder", "file:x", "-g", "x@https://example.org/x.tgz" } do
    t.error_contains(function() t.install { package = "x", with = { name } } end,
      "is not a package of the registry")
  end
  t.error_contains(t.load, "option `package` is \"\"")
end
