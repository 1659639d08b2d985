-- The git hooks of a project. git runs the hooks in the folder `path`, which is beside the manifest and
-- under version control with the project.
--
-- This package is user-managed: it changes something outside of envy's cache, here one setting of this
-- clone. envy asks for consent first. `git config --unset core.hooksPath` undoes the change.

identity = "envy.git-hooks@r1"
about = {
  license = "MIT",
  description = "Makes git run the hooks in a folder of the project",
}
options = { path = { type = "string", default = ".githooks" } }
host = { "git" }

-- git resolves the path from the top of the working tree, which may be above the manifest's folder.
local WANTED = [[
wanted=$(git rev-parse --show-prefix)$ENVY_OPTION_PATH
found=$(git config --local core.hooksPath || true)
]]

check = WANTED .. [[test "$found" = "$wanted"]]

install = WANTED .. [[
if [ ! -d "$ENVY_OPTION_PATH" ]; then
  echo "there is no folder $ENVY_OPTION_PATH beside the manifest: create it and put the hooks there" >&2
  exit 1
fi
if [ -n "$found" ]; then
  echo "this repository takes its hooks from $found; if you no longer need those, run" >&2
  echo "    git config --local --unset core.hooksPath" >&2
  exit 1
fi
git config --local core.hooksPath "$wanted"
]]
