"""The texts of `envy hook`: what a shell runs when its working directory changes.

A hook looks for the manifest itself, from the working directory up to the root of the repository,
so that it starts envy only if the project is another one than before. What envy prints then begins
with what undoes it.
"""

from __future__ import annotations

from collections.abc import Mapping

from envy.cli.env_text import env_text, fish_quoted, sh_quoted

SHELLS = ("bash", "zsh", "fish")

_CHANGE = """\
_envy_change() {{
  local folder=$PWD
  while [ -n "$folder" ] && [ ! -f "$folder/envy.lua" ]; do
    if [ -e "$folder/.git" ]; then
      folder=
    else
      folder=${{folder%/*}}
    fi
  done
  if [ "$folder" = "${{_envy_project-}}" ]; then
    return 0
  fi
  if [ -n "${{_envy_undo-}}" ]; then
    eval "$_envy_undo"
    _envy_undo=
  fi
  _envy_project=$folder
  if [ -n "$folder" ]; then
    eval "$({envy} --manifest "$folder/envy.lua" hook {shell} --load)"
  fi
}}
"""

_BASH = (
    _CHANGE
    + """\
_envy_hook() {{
  local status=$?
  if [ "$PWD" != "${{_envy_here-}}" ]; then
    _envy_here=$PWD
    _envy_change
  fi
  return "$status"
}}
case ";${{PROMPT_COMMAND-}};" in
  *";_envy_hook;"*) ;;
  *) PROMPT_COMMAND="_envy_hook${{PROMPT_COMMAND:+;$PROMPT_COMMAND}}" ;;
esac
"""
)

_ZSH = (
    _CHANGE
    + """\
autoload -Uz add-zsh-hook
add-zsh-hook chpwd _envy_change
_envy_change
"""
)

_FISH = """\
function _envy_change --on-variable PWD
  set -l folder $PWD
  while test -n "$folder"; and not test -f "$folder/envy.lua"
    if test -e "$folder/.git"
      set folder ''
    else
      set folder (string replace -r '(?s)/[^/]*$' '' -- $folder | string collect)
    end
  end
  if test "$folder" = "$_envy_project"
    return 0
  end
  if test -n "$_envy_undo"
    eval "$_envy_undo"
    set -g _envy_undo ''
  end
  set -g _envy_project "$folder"
  if test -n "$folder"
    {envy} --manifest "$folder/envy.lua" hook fish --load | source
  end
end
_envy_change
"""


def hook_text(shell: str, program: str) -> str:
    """Return what one of SHELLS reads at its start; `program` is the path of envy."""
    quoted = fish_quoted(program) if shell == "fish" else sh_quoted(program)
    text = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}[shell]
    return text.format(envy=quoted, shell=shell)


def load_text(shell: str, variables: Mapping[str, str], base: Mapping[str, str]) -> str:
    """Return what sets the variables of a project, and how to undo that; `base` are the user's."""
    form = "fish" if shell == "fish" else "sh"
    former = {name: base[name] for name in variables if name in base}
    unset = "set -e" if form == "fish" else "unset"
    undo = [
        env_text(former, form),
        *(f"{unset} {name}" for name in sorted(variables) if name not in base),
    ]
    text = "\n".join(line for line in undo if line)
    first = (
        f"set -g _envy_undo {fish_quoted(text)}"
        if form == "fish"
        else (f"_envy_undo={sh_quoted(text)}")
    )
    return f"{first}\n{env_text(variables, form)}"
