"""What Cargo.toml files say of each other: workspaces, and packages elsewhere on the machine."""

from __future__ import annotations

import glob
import os
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from envy.testing.drivers.projects.project import Folder

MANIFEST = "Cargo.toml"
_DEPENDENCIES = ("dependencies", "dev-dependencies", "build-dependencies")
_MOST_FOLDERS = 500
_IS_PATTERN = frozenset("*?[")


def is_own_project(folder: Folder, *, above: bool) -> bool:
    """Return whether cargo takes a folder for a project, not for a member of one above it."""
    text = folder.read(MANIFEST)
    if not text:
        return False
    table = _parsed(text)
    if "workspace" in table:
        return True
    package = table.get("package")
    if not isinstance(package, dict):
        return not above and not table  # cargo says what is wrong with it
    if "workspace" in package:
        return False
    return not above or _is_outside(folder)


def _is_outside(folder: Folder) -> bool:
    """Return whether no workspace above a folder has it as a member."""
    here = folder.path
    while True:
        parent = os.path.dirname(here)  # noqa: PTH120
        if parent == here:
            return True
        here = parent
        path = f"{here}/{MANIFEST}"
        if not os.path.isfile(path):  # noqa: PTH113
            continue
        folder.note(path)
        workspace = _read(path).get("workspace")
        if isinstance(workspace, dict):
            excluded = workspace.get("exclude")
            relative = os.path.relpath(folder.path, here)
            return isinstance(excluded, list) and any(
                relative == name or relative.startswith(f"{str(name).rstrip('/')}/")
                for name in excluded
            )


def local_folders(folder: str, settings: Iterable[str] = ()) -> list[str]:
    """Return the folders of packages that a project is built from, and that lie outside it.

    `settings` are the files of cargo's configuration, which may name some, too.
    """
    found: dict[str, None] = {}
    seen: dict[str, None] = {folder: None}
    stack = [folder]
    named = [path for file in settings for path in _paths_of_settings(file)]
    while (stack or named) and len(seen) < _MOST_FOLDERS:
        if stack:
            here = stack.pop()
            named += [f"{here}/{path}" for path in _named_paths(_read(f"{here}/{MANIFEST}"), here)]
        for other in map(os.path.normpath, named):
            if other in seen:
                continue
            seen[other] = None
            stack.append(other)
            if not (other == folder or other.startswith(f"{folder}/")):
                found[other] = None
        named = []
    return list(found)


def _paths_of_settings(file: str) -> list[str]:
    """Return the folders that a file of cargo's configuration names, by `paths` and `patch`."""
    table = _read(file)
    above = os.path.dirname(os.path.dirname(file))  # noqa: PTH120 - that of .cargo
    paths = table.get("paths")
    found = [str(one) for one in paths] if isinstance(paths, list) else []
    found += _named_paths({"patch": table.get("patch")}, above)
    return [os.path.join(above, path) for path in found]  # noqa: PTH118


def workspace_files(folder: str) -> list[str]:
    """Return the manifests and lock files above a project, of which one may be its workspace's."""
    found = []
    while (parent := os.path.dirname(folder)) != folder:  # noqa: PTH120
        folder = parent
        if os.path.isfile(f"{folder}/{MANIFEST}"):  # noqa: PTH113
            found += [f"{folder}/{MANIFEST}", f"{folder}/Cargo.lock"]
    return found


def _named_paths(table: Mapping[str, Any], here: str) -> Iterator[str]:
    """Yield the paths of dependencies and members in a manifest that lies in `here`."""
    workspace = table.get("workspace")
    tables: list[Any] = [table.get(name) for name in _DEPENDENCIES]
    if isinstance(workspace, dict):
        tables.append(workspace.get("dependencies"))
        members = workspace.get("members")
        for one in members if isinstance(members, list) else ():
            if _IS_PATTERN.isdisjoint(str(one)):
                yield str(one)
            else:
                yield from glob.iglob(str(one), root_dir=here)  # noqa: PTH207 - may be above
    for name in ("target", "patch"):
        inner = table.get(name)
        for one in inner.values() if isinstance(inner, dict) else ():
            tables += [one.get(key) for key in _DEPENDENCIES] if isinstance(one, dict) else []
            tables += [one] if name == "patch" else []
    for rows in tables:
        for row in rows.values() if isinstance(rows, dict) else ():
            if isinstance(row, dict) and isinstance(row.get("path"), str):
                yield row["path"]


def _read(path: str) -> Mapping[str, Any]:
    try:
        with open(path, "rb") as file:  # noqa: PTH123
            return tomllib.load(file)
    except (OSError, ValueError):
        return {}


def _parsed(text: str) -> Mapping[str, Any]:
    try:
        return tomllib.loads(text)
    except ValueError:
        return {}
