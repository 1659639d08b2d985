-- Lets git answer as in a repository whose hooks are in `path`, which the recipe may set.
local function repository(t, path)
  t.answer("core.hooksPath", function(call)
    local wanted = call.env.ENVY_OPTION_PATH
    if call.text:find("git config --local core.hooksPath \"$wanted\"", 1, true) then
      path = wanted
      return {}
    end
    return { exit_code = path == wanted and 0 or 1 }
  end)
end

function test_sets_the_folder_of_hooks(t)
  t.program("git", "echo git version 2.50")
  repository(t, "")
  local it = t.install { path = "hooks" }
  t.ok(it.user_managed)
  t.equal(it.outcome, "changed")
  t.equal(t.install({ path = "hooks" }).outcome, "satisfied")
end

function test_a_repository_that_has_them_is_left_alone(t)
  t.program("git", "echo git version 2.50")
  repository(t, ".githooks")
  t.equal(t.install().outcome, "satisfied")
  t.equal(#t.calls(), 1, "the check")
end
