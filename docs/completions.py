"""Write the completions of shells, from the commands of envy; `make docs` runs this."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from envy.cli.main import COMMANDS, LazyGroup
from envy.declarations.shipped_table import shipped_table

FOLDER = Path(__file__).resolve().parent.parent / "envy" / "cli" / "completions"
# Commands whose arguments are names of the project, by the kind of name in `.envy/names`.
NAMES = {
    "program": ("run", "product"),
    "package": ("sync", "asset", "why", "why-rebuild", "plan", "export", "remove"),
}
# Commands whose arguments are recipes that ship with envy.
SHIPPED = ("add", "x")
HEAD = "# Completions of envy. Written by docs/completions.py; names are those in .envy/names.\n"

_NAMES = """\
_envy_names() {
  local folder=$PWD kind name
  while [ -n "$folder" ] && [ ! -f "$folder/envy.lua" ]; do folder=${folder%/*}; done
  [ -r "$folder/.envy/names" ] || return 0
  while IFS=' ' read -r kind name; do
    if [ "$kind" = "$1" ]; then found+=("$name"); fi
  done < "$folder/.envy/names"
}
"""

_BASH = """\
_envy() {
  local current=${COMP_WORDS[COMP_CWORD]} command= i word
  local -a found=()
  for ((i = 1; i < COMP_CWORD; i++)); do
    case ${COMP_WORDS[i]} in
      VALUES) i=$((i + 1)) ;;
      -*) ;;
      *) command=${COMP_WORDS[i]}; break ;;
    esac
  done
  COMPREPLY=()
  if [ "$command" = run ] || [ "$command" = x ]; then
    # The words after the program are its own.
    for ((i++; i < COMP_CWORD; i++)); do
      case ${COMP_WORDS[i]} in
        VALUES|--with|--program) i=$((i + 1)) ;;
        -*) ;;
        *) return 0 ;;
      esac
    done
  fi
  case $command,$current in
LINES  esac
  for word in ${found[@]+"${found[@]}"}; do
    if [ "${word#"$current"}" != "$word" ] || [ -z "$current" ]; then
      COMPREPLY+=("$(printf '%q' "$word")")
    fi
  done
}
complete -o default -F _envy envy
"""

_ZSH = """\
_envy() {
  local current=$words[CURRENT] command= i
  local -a found
  found=()
  for ((i = 2; i < CURRENT; i++)); do
    case $words[i] in
      VALUES) i=$((i + 1)) ;;
      -*) ;;
      *) command=$words[i]; break ;;
    esac
  done
  if [ "$command" = run ] || [ "$command" = x ]; then
    # The words after the program are its own.
    for ((i++; i < CURRENT; i++)); do
      case $words[i] in
        VALUES|--with|--program) i=$((i + 1)) ;;
        -*) ;;
        *) _files; return ;;
      esac
    done
  fi
  case $command,$current in
LINES  esac
  if ((${#found})); then compadd -- "${(@)found}"; else _files; fi
}
if [ "$funcstack[1]" = _envy ]; then _envy "$@"; else compdef _envy envy; fi
"""

_FISH = """\
function _envy_names
  set -l folder $PWD
  while test -n "$folder"; and not test -f "$folder/envy.lua"
    set folder (string replace -r '(?s)/[^/]*$' '' -- $folder | string collect)
  end
  if test -r "$folder/.envy/names"
    string replace -f -r "^$argv[1] " '' < "$folder/.envy/names"
  end
end
"""


def completions() -> dict[str, str]:
    """Return the texts of the files by name."""
    options = {name: sorted(_options(command)) for name, command in _commands()}
    lines = "".join(_cases(options))
    values = "|".join(_values())
    posix = {"bash": _BASH, "zsh": _ZSH}
    found = {
        f"envy.{shell}": ("#compdef envy\n" if shell == "zsh" else "")
        + HEAD
        + _NAMES
        + text.replace("VALUES", values).replace("LINES", lines)
        for shell, text in posix.items()
    }
    return {**found, "envy.fish": HEAD + _FISH + "".join(_fish(options))}


def _commands() -> Iterator[tuple[str, click.Command]]:
    group = LazyGroup(COMMANDS)
    context = click.Context(group, info_name="envy")
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        yield name, command


def _options(command: click.Command) -> Iterator[str]:
    for parameter in command.params:
        if isinstance(parameter, click.Option) and not parameter.hidden:
            yield from (name for name in parameter.opts if name.startswith("--"))
    yield "--help"


def _values() -> list[str]:
    return ["--manifest", "--cache-root", "--jobs", "-j", "--fetch-jobs"]


def _cases(options: dict[str, list[str]]) -> Iterator[str]:
    top = list(options)
    yield f"    ,-*) found=({' '.join(['--help', '--version', *_values()])}) ;;\n"
    yield f"    ,*) found=({' '.join(top)}) ;;\n"
    for name, words in options.items():
        yield f"    {name},-*) found=({' '.join(words)}) ;;\n"
    for kind, commands in NAMES.items():
        for name in commands:
            yield f"    {name},*) _envy_names {kind} ;;\n"
    for name in SHIPPED:
        yield f"    {name},*) found=({_shipped()}) ;;\n"


def _fish(options: dict[str, list[str]]) -> Iterator[str]:
    yield f"complete -c envy -f -n __fish_use_subcommand -a '{' '.join(options)}'\n"
    for name, words in options.items():
        seen = f"'__fish_seen_subcommand_from {name}'"
        for word in words:
            yield f"complete -c envy -n {seen} -l {word.removeprefix('--')}\n"
    for kind, commands in NAMES.items():
        seen = f"'__fish_seen_subcommand_from {' '.join(commands)}'"
        yield f"complete -c envy -n {seen} -a '(_envy_names {kind})'\n"
    seen = f"'__fish_seen_subcommand_from {' '.join(SHIPPED)}'"
    yield f"complete -c envy -n {seen} -a '{_shipped()}'\n"


def _shipped() -> str:
    return " ".join(recipe.name for recipe in shipped_table())


def write_completions() -> None:
    """Write the files."""
    FOLDER.mkdir(exist_ok=True)
    for name, text in completions().items():
        (FOLDER / name).write_text(text)


if __name__ == "__main__":
    write_completions()
