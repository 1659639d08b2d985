"""The text of a new manifest, with the versions that files of other version managers ask for.

Pure: the files are read by `envy init`.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from envy.declarations.manifest_text import entry_text
from envy.declarations.option_text import OptionValue
from envy.declarations.shipped_table import ShippedRecipe, entry_of, shipped_table

VERSION_FILES = (".tool-versions", ".python-version", ".nvmrc")
_TOOLS = {".python-version": "python", ".nvmrc": "node"}
_NAMES = {"nodejs": "node", "golang": "go"}  # of .tool-versions, where envy has another one
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+/*-]*")
_PYTHON = re.compile(r"3\.[0-9]+(?=$|\.[0-9]+$)")
_LONGEST = 60  # characters of a name or version
_MOST = 50  # lines of a file

_HEAD = """\
-- The packages of this project. `envy sync` installs them, and `envy run CMD` runs their programs.
-- `envy add NAME` and `envy remove NAME` change the list; `envy list --shipped` shows the recipes
-- that there are. An entry is a recipe, or a recipe with options:
--
--   "envy.cmake@r1",
--   { recipe = "envy.ninja@r1", options = { version = "1.11.1" } },
"""


@dataclass(frozen=True, slots=True)
class AskedVersion:
    """A tool and its version, as a file asks for it."""

    tool: str
    version: str
    file: str


def asked_versions(file: str, text: str) -> list[AskedVersion]:
    """Return what a file in `VERSION_FILES` asks for; lines of another form are left out."""
    found = []
    for line in text.splitlines()[:_MOST]:
        words = line.partition("#")[0].split()
        if file in _TOOLS:
            words = [_TOOLS[file], *words]
        if len(words) > 1 and all(_is_plain(word) for word in words[:2]):
            name = _NAMES.get(words[0], words[0])
            found.append(AskedVersion(name, words[1], file))
            if file in _TOOLS:
                break
    return found


def _is_plain(word: str) -> bool:
    return len(word) <= _LONGEST and _WORD.fullmatch(word) is not None


def new_manifest(asked: Iterable[AskedVersion]) -> tuple[str, Sequence[str]]:
    """Return the text of a new manifest, and notes about what could not become an entry."""
    recipes = {recipe.name: recipe for recipe in shipped_table()}
    rows, notes = [], []
    seen: dict[str, AskedVersion] = {}
    for one in asked:
        first = seen.setdefault(one.tool, one)
        if first is not one:
            if first.version != one.version:
                notes.append(_text(one) + f", and {_text(first)}: that one counts")
            continue
        row, note = _row(one, recipes)
        rows.append(row)
        notes += [note] if note else []
    lines = "".join(f"  {row}\n" for row in rows)
    return f"{_HEAD}packages = {{\n{lines}}}\n", notes


def _row(asked: AskedVersion, recipes: Mapping[str, ShippedRecipe]) -> tuple[str, str]:
    """Return the line for a tool, and a note if it is only a comment."""
    recipe = recipes.get(asked.tool)
    if recipe is None:
        note = f"{_text(asked)}: envy ships no recipe for {asked.tool}"
        return f"-- {note}", note
    python = _PYTHON.match(asked.version)
    if asked.tool in recipe.options and python:
        # The machine has one release of each.
        options: dict[str, OptionValue] = {asked.tool: python[0]}
        return f"{entry_text({'recipe': recipe.identity, 'options': options})}, -- {asked.file}", ""
    if not recipe.version:
        note = f"{_text(asked)}: {recipe.identity} takes the one of the machine"
        return f'-- "{recipe.identity}", -- {note}', note
    wanted = asked.version.removeprefix("v")
    fitting = [
        known for known in recipe.versions if known == wanted or known.startswith(wanted + ".")
    ]
    if fitting:
        return f"{entry_text(entry_of(recipe, fitting[0]))}, -- {asked.file}", ""
    known = ", ".join(recipe.versions)
    note = f"{_text(asked)}: {recipe.identity} was tested with {known}"
    return f"-- {entry_text(entry_of(recipe, wanted))}, -- {note}", note


def _text(asked: AskedVersion) -> str:
    return f"{asked.file} asks for {asked.tool} {asked.version}"
