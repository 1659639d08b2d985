local checks = require("shipped_checks")

function test_installs_a_release(t)
  checks.python(t, { "http", "https" })
  local it = t.install {
    package = "httpie[socks]", version = "3.2.4", programs = { "http", "https" }, with = { "plugin" },
  }
  t.equal(it.alias, "httpie")
  t.equal(it.products, { http = "bin/http", https = "bin/https" })
  t.equal(it.requirements.lines, { "httpie[socks]==3.2.4", "plugin" })
end

function test_says_which_programs_there_are(t)
  checks.python(t, { "other" })
  t.error_contains(function() t.install { package = "httpie" } end,
    "there is no program httpie in bin; there is other")
end

function test_refuses_what_is_no_package(t)
  checks.python(t, {})
  for _, name in ipairs { "../x", "x y", "x @ https://example.org/x.whl" } do
    t.error_contains(function() t.load { package = name } end, "which is not the name of a package")
  end
  for _, line in ipairs { "-e .", "./x", "x @ file:///x", "--find-links y" } do
    t.error_contains(function() t.load { package = "x", with = { line } } end,
      "takes packages from a folder of this machine")
  end
  t.error_contains(function() t.load { package = "x", with = { "-r more.txt" } } end,
    "includes a file of this machine")
  t.error_contains(t.load, "option `package` is \"\"")
end
