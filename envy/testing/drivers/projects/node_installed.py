"""What is installed for a package of npm: the records of its package manager, and linked packages.

Packages of a workspace are links in `node_modules` of the package, or of a folder above it, to
folders that are edited like the package itself.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from envy.testing.drivers.projects.inputs import TREE
from envy.testing.drivers.projects.project import SuiteProject
from envy.testing.evidence import FILE, FOLDER

_RECORDS = (".package-lock.json", ".yarn-integrity", ".yarn-state.yml", ".modules.yaml")
_TOPS = (".git", "envy.lua")


def installed_rows(project: SuiteProject) -> list[tuple[str, str]]:
    """Return rows for what is installed in the folder of a package, and above it.

    With `inputs` in the manifest, linked packages do not count.
    """
    rows: list[tuple[str, str]] = []
    directory = project.directory
    own = f"{os.path.realpath(directory)}/"
    for folder in (directory, *directory.parents):
        modules = f"{folder}/node_modules"
        rows += [(FILE, f"{modules}/{name}") for name in _RECORDS]
        rows.append((FOLDER, modules))  # without `.vite`, `.cache` and other folders of tools
        for place in _linked(modules) if project.settings.inputs is None else ():
            if not f"{place}/".startswith(own) and "node_modules" not in Path(place).parts:
                rows.append((TREE, place))
        if any((folder / name).exists() for name in _TOPS):
            break
    return rows


def _linked(modules: str) -> Iterator[str]:
    """Yield the folders that links in `node_modules`, and in the scopes there, lead to."""
    stack = [modules]
    while stack:
        folder = stack.pop()
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    if entry.is_symlink():
                        place = os.path.realpath(entry.path)
                        if os.path.isdir(place):  # noqa: PTH112
                            yield place
                    elif folder == modules and entry.name.startswith("@"):
                        stack.append(entry.path)
        except OSError:
            continue
