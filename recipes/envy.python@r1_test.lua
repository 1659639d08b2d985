local checks = require("shipped_checks")

function test_requirements_are_resolved_once(t)
  checks.python(t, { "python3" })
  local it = t.install { requirements = { "requests", "six==1.17.0" } }
  t.equal(it.requirements, { lines = { "requests", "six==1.17.0" }, python = "" })
  t.equal(it.products, { python = "bin/python", python3 = "bin/python3" })
  t.equal(it.dependencies[1].recipe, "envy.uv@r1")
end

function test_requirements_with_digests_are_not_resolved(t)
  checks.python(t, { "python3" })
  t.install { requirements = { "six==1.17.0 --hash=sha256:00" } }
  for _, call in ipairs(t.calls()) do t.ok(not call.text:find("pip compile", 1, true)) end
end

function test_an_environment_without_packages_needs_no_uv(t)
  t.program("python3.12", [[
case "$*" in *version_info*) echo 3 12 1 /usr ;; *"-m venv"*)
  mkdir bin; printf '#!/bin/sh\n' > bin/python; cp bin/python bin/python3; chmod +x bin/* ;;
esac]])
  local it = t.install { python = "3.12" }
  t.equal(it.dependencies, {})
  t.equal(it.files, { "bin/python", "bin/python3" })
  t.equal(it.exports, { path = { "bin" }, env = { VIRTUAL_ENV = "{{asset}}" } })
end

function test_a_python_without_venv_is_an_error(t)
  t.program("python3", "echo 3 12 1 /usr")
  t.answer("import venv", { exit_code = 1, stderr = "No module named venv\n" })
  t.error_contains(t.install, "this python3 has no module venv: install the system package")
end
