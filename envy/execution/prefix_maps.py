"""Variables by which compilers leave the paths of the cache out of what they write.

The option is `-ffile-prefix-map`. In CFLAGS it would take the place of a build's own flags, such as
the `-g -O2` of autotools, so it is given to the compilers themselves: clang and zig read
CCC_OVERRIDE_OPTIONS. gcc reads no variable with options, but its specs from the folders of
LIBRARY_PATH, below its machine and version; these are its own ones with the option.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from envy.answers.machine_programs import find_program
from envy.cache.filesystem import explained
from envy.cache.names import ASSETS_FOLDER, STAGE, TMP
from envy.errors import ScriptFailed
from envy.execution.services import PhaseServices
from envy.graph.recipe import Recipe
from envy.host.process import run_argv
from envy.phase import RecipePhase

_OPTION = "-ffile-prefix-map"
_ELSEWHERE = "/envy"  # what the folder of the entries is called
_PLAIN = re.compile(r"[\w/@.+,-]+", re.ASCII)  # nothing that specs or lists of options would quote
_FOLDER = "envy-gcc"
# Not after themselves: a compiler under a build may have read them already.
_COMPILES = re.compile(r"^(\*(?:cc1|cc1plus):\n)(.*)$", re.MULTILINE)
_INSTALLED = re.compile(r"^install: .*?/([\w.+-]+)/([\w.+-]+)/?$", re.MULTILINE)


def compiler_variables(
    recipe: Recipe, engine: PhaseServices, variables: Mapping[str, str]
) -> dict[str, str]:
    """Return variables for the scripts of a recipe that is being made, beside their others."""
    options = _options(recipe)
    if not options:
        return {}
    found = {"CCC_OVERRIDE_OPTIONS": " ".join(["#", *(f"^{option}" for option in options)])}
    given = " ".join(options)
    folder = f"{recipe.work_paths(RecipePhase.BUILD).at(TMP)}/{_FOLDER}"
    for name in ("cc", "gcc"):
        path = find_program(name, variables)
        specs = _specs_of(path, engine, variables) if path is not None else None
        if specs is not None:
            below, text = specs
            _write_specs(Path(folder, below), _COMPILES.sub(rf"\1\2 {given}", text))
            earlier = variables.get("LIBRARY_PATH")
            found["LIBRARY_PATH"] = f"{earlier}:{folder}" if earlier else folder
    return found


def _write_specs(folder: Path, text: str) -> None:
    path = folder / "specs"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # A script has left something else there: it is not followed.
        path.unlink(missing_ok=True)
        path.write_bytes(text.encode("utf-8", "surrogateescape"))
    except OSError as error:
        raise explained(error, doing="write the specs of gcc", path=str(path)) from error


def _options(recipe: Recipe) -> list[str]:
    """Return the options; of several that match, compilers take the last."""
    entry = recipe.placement.entry
    spellings = [
        recipe.work_paths(RecipePhase.BUILD).root,
        entry.root,
        os.path.realpath(entry.root),
    ]
    roots = [root.rstrip("/") for root in dict.fromkeys(spellings)]
    stage = f"{entry.location[len(entry.root.rstrip('/')) :]}/{STAGE}"
    if not all(map(_PLAIN.fullmatch, roots)) or not _PLAIN.fullmatch(stage):
        return []
    return [
        *(f"{_OPTION}={root}/{ASSETS_FOLDER}={_ELSEWHERE}" for root in roots),
        *(f"{_OPTION}={root}{stage}=." for root in roots),
    ]


def _specs_of(
    path: str, engine: PhaseServices, variables: Mapping[str, str]
) -> tuple[str, str] | None:
    """Return the specs that a gcc has built in, below its machine and version; None for others."""

    def ask() -> tuple[str, str] | None:
        text = _told(path, "-dumpspecs", engine, variables)
        installed = _INSTALLED.search(_told(path, "-print-search-dirs", engine, variables))
        if installed is None or len(_COMPILES.findall(text)) != len(("cc1", "cc1plus")):
            return None
        return f"{installed[1]}/{installed[2]}", text

    return engine.services.memo.once(("specs", os.path.realpath(path)), ask)


def _told(path: str, word: str, engine: PhaseServices, variables: Mapping[str, str]) -> str:
    """Return what a compiler prints about itself; "" for a script, which may do anything."""
    services = engine.services
    own = {name: text for name, text in variables.items() if name != "LIBRARY_PATH"}
    try:
        with Path(path).open("rb") as file:
            if file.read(4) != b"\x7fELF":
                return ""
        completed = run_argv(
            [path, word],
            cwd=services.project_dir,
            environment=own,
            children=services.children,
            label=f"{Path(path).name} {word}",
            capture=True,
        )
    except (OSError, ScriptFailed):
        return ""
    return "" if completed.exit_code else completed.stdout.decode("utf-8", "surrogateescape")
