-- The hooks of a project, in the repository of whoever works on it: git runs what is in the folder
-- `path`, which lies beside the manifest and is versioned with the project.
--
-- A user-managed package: it changes something outside of envy's cache, here one setting of this
-- clone. envy asks before it does, and `git config --unset core.hooksPath` undoes it.

identity = "envy.git-hooks@r1"
about = {
  license = "MIT",
  description = "Lets git run the hooks that a project keeps in a folder of its own",
}
options = { path = { type = "string", default = ".githooks" } }
host = { "git" }

-- git looks from the top of the working tree, which may be above the manifest's folder.
local WANTED = [[
wanted=$(git rev-parse --show-prefix)$ENVY_OPTION_PATH
found=$(git config --local core.hooksPath || true)
]]

check = WANTED .. [[test "$found" = "$wanted"]]

install = WANTED .. [[
if [ ! -d "$ENVY_OPTION_PATH" ]; then
  echo "there is no folder $ENVY_OPTION_PATH beside the manifest: put the hooks there" >&2
  exit 1
fi
if [ -n "$found" ]; then
  echo "this repository takes its hooks from $found; if that may change, say" >&2
  echo "    git config --local --unset core.hooksPath" >&2
  exit 1
fi
git config --local core.hooksPath "$wanted"
]]
