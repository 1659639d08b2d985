"""Finding the projects of a kind, and the packages that patterns of the command match.

A pattern is a folder, a folder followed by `/...` for all below it, a test file, or the name of a
suite. A project may lie above the folder of a pattern, up to the folder that has the repository or
the manifest.

Guarantees
  Each folder that was looked into, and each file that decided, is noted: see `Found.facts`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from envy.declarations.suite_settings import SuiteSettings
from envy.errors import EnvyError
from envy.testing.drivers.projects.inputs import Snapshot
from envy.testing.drivers.projects.kind import TestKind
from envy.testing.drivers.projects.names import test_name
from envy.testing.drivers.projects.project import Folder, ProjectTests, SuiteProject
from envy.testing.evidence import FILE, UNIGNORED
from envy.testing.ignoring import is_ignored, rules_of
from envy.testing.pattern_folders import PASSED_OVER

_TOPS = (".git", "envy.lua")


class NoSuchFolder(EnvyError):
    """The manifest names a folder of tests that is not there."""

    exit_code = 3


@dataclass(frozen=True, slots=True)
class Suite:
    """A suite, its kind, and the projects that were found for it."""

    settings: SuiteSettings
    kind: TestKind
    projects: tuple[SuiteProject, ...]


@dataclass(slots=True)
class Found:
    """What a search found; `snapshot` has what decided it."""

    snapshot: Snapshot
    suites: list[Suite] = field(default_factory=list)


@dataclass(slots=True)
class _Search:
    """One walk for the project files of several kinds."""

    kinds: Sequence[TestKind]
    snapshot: Snapshot
    found: dict[str, list[str]] = field(default_factory=dict)  # folders by kind

    def _note(self, path: str) -> None:
        self.snapshot.add(FILE, path)

    def walk(self, top: str, above: frozenset[str]) -> None:
        """Look for projects in a folder and below it; `above` are kinds of projects above it."""
        interesting = frozenset().union(*(kind.project_files for kind in self.kinds))
        stack = [(top, above)]
        while stack:
            folder, kinds_above = stack.pop()
            names, folders = _entries(folder)
            if names is None:
                continue
            here = self.look(folder, names, kinds_above) if interesting & names else kinds_above
            stack += [(f"{folder}/{name}", here) for name in reversed(folders)]

    def look(self, folder: str, names: frozenset[str], above: frozenset[str]) -> frozenset[str]:
        """Note a folder for each kind whose project it is; return the kinds above those below."""
        place = Folder(folder, names, self._note)
        here = set(above)
        for kind in self.kinds:
            if not kind.project_files & names:
                continue
            if kind.is_project(place, above=kind.name in above) and not _is_left_out(folder):
                self.found.setdefault(kind.name, [])
                if folder not in self.found[kind.name]:
                    self.found[kind.name].append(folder)
                here.add(kind.name)
        return frozenset(here)


def find_suites(
    root: Path,
    patterns: Sequence[str],
    kinds: Mapping[str, TestKind],
    suites: Sequence[SuiteSettings] | None,
    *,
    manifest_folder: Path,
    snapshot: Snapshot,
) -> Found:
    """Return the suites with the projects that the patterns may match.

    `suites` are those of the manifest, or None to find the projects of all kinds.

    Raises:
        NoSuchFolder: a suite names a folder that is not there.
    """
    if suites is None:
        suites = [SuiteSettings(name=name, kind=name) for name in kinds if _is_found(kinds[name])]
    searched = {
        kinds[suite.kind]
        for suite in suites
        if not suite.folders and suite.kind in kinds and _is_found(kinds[suite.kind])
    }
    search = _Search([kind for kind in kinds.values() if kind in searched], snapshot)
    if searched:
        for pattern in patterns or ["./..."]:
            _search_pattern(search, root, pattern)
    found = Found(snapshot)
    for suite in suites:
        if suite.kind not in kinds:
            continue
        folders = _folders_of(suite, kinds[suite.kind], search, manifest_folder)
        projects = [
            SuiteProject(directory=folder, settings=suite)
            for folder in folders
            if any(may_match(root, pattern, folder, suite.name) for pattern in patterns or ["..."])
        ]
        if projects:
            found.suites.append(Suite(suite, kinds[suite.kind], tuple(projects)))
    if found.suites and searched:
        snapshot.add_rows(_walked_rows(root, patterns))
    return found


def _is_found(kind: TestKind) -> bool:
    """Return whether projects of a kind are found by their files, not only by the manifest."""
    return bool(kind.project_files)


def _folders_of(
    suite: SuiteSettings, kind: TestKind, search: _Search, manifest_folder: Path
) -> list[Path]:
    """Return the folders of a suite: those it names, that of the manifest, or where its kind is."""
    named = suite.folders or (() if _is_found(kind) else (".",))
    if named:
        return [_named_folder(suite, manifest_folder, name) for name in named]
    return [Path(folder) for folder in search.found.get(suite.kind, ())]


def _search_pattern(search: _Search, root: Path, pattern: str) -> None:
    named, below = split_pattern(root, pattern)
    folder = named if named.is_dir() else named.parent
    if not folder.is_dir():
        return
    above: frozenset[str] = frozenset()
    for parent in _folders_above(folder, root):
        names, _ = _entries(str(parent))
        if names is not None:
            above = search.look(str(parent), names, above)
    if below:
        search.walk(str(folder), above)
        return
    names, _ = _entries(str(folder))
    if names is not None:
        search.look(str(folder), names, above)


def _folders_above(folder: Path, root: Path) -> list[Path]:
    """Return the folders above one, from the top of its repository or manifest down.

    Without these, the folder of the command is the top.
    """
    if any((folder / name).exists() for name in _TOPS):
        return []
    found = []
    for parent in folder.parents:
        found.append(parent)
        if any((parent / name).exists() for name in _TOPS):
            return found[::-1]
    return found[found.index(root) :: -1] if root in found else []


def split_pattern(root: Path, pattern: str) -> tuple[Path, bool]:
    """Return the path that a pattern names, and whether all below it is meant."""
    below = pattern == "..." or pattern.endswith("/...")
    return Path(os.path.normpath(root / (pattern[:-3] if below else pattern))), below


def may_match(root: Path, pattern: str, project: Path, name: str) -> bool:
    """Return whether a pattern may match packages of a project."""
    if pattern == name:
        return True
    named, below = split_pattern(root, pattern)
    if named == project or project in named.parents:
        return True
    return below and named in project.parents


def matching(
    root: Path, patterns: Sequence[str], found: Sequence[ProjectTests]
) -> list[ProjectTests]:
    """Return the packages that the patterns match; of a file or folder, with its tests only."""
    kept = []
    for tests in found:
        files: list[str] = []
        is_whole = False
        for pattern in patterns or ["..."]:
            named, below = split_pattern(root, pattern)
            project = tests.project.directory
            if (
                pattern == tests.project.settings.name
                or named in {tests.directory, project}
                or (below and named in tests.directory.parents)
            ):
                is_whole = True
                break
            if tests.directory in named.parents:
                inner = named.relative_to(tests.directory).as_posix()
                files.append(f"{inner}/" if named.is_dir() else inner)
        if is_whole:
            kept.append(tests)
        elif files:
            names = tuple(name for name in tests.tests if any(_is_of(name, file) for file in files))
            if names or tests.problem:
                tests.tests, tests.is_partial = names, True
                tests.unloaded &= frozenset(names)
                kept.append(tests)
    return kept


def _is_of(test: str, file: str) -> bool:
    is_folder = file.endswith("/")
    file = test_name(file)
    if is_folder:
        return test.startswith(file)
    return test == file or test.startswith(f"{file}::")


def _named_folder(suite: SuiteSettings, manifest_folder: Path, name: str) -> Path:
    folder = Path(os.path.normpath(manifest_folder / name))
    if not folder.is_dir():
        raise NoSuchFolder(
            f"tests.{suite.name} of the manifest names the folder {name}, which does not exist",
            hint=f"it is relative to {manifest_folder}",
        )
    return folder


def _entries(folder: str) -> tuple[frozenset[str] | None, list[str]]:
    """Return the names of the files in a folder, and those of the folders to look into."""
    names = []
    folders = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                name = entry.name
                if not entry.is_dir(follow_symlinks=False):
                    names.append(name)
                elif name[0] not in "._" and name not in PASSED_OVER:
                    folders.append(name)
    except OSError:
        return None, []
    return frozenset(names), sorted(folders)


def _is_left_out(folder: str) -> bool:
    """Return whether git ignores a folder, or one above it: what is built is no project."""
    here = folder
    while True:
        parent = os.path.dirname(here)  # noqa: PTH120
        if parent == here or os.path.lexists(f"{here}/.git"):
            return False
        rules = rules_of(parent)
        if rules and is_ignored(here, rules, is_folder=True):
            return True
        if not rules:
            return False
        here = parent


def _walked_rows(root: Path, patterns: Sequence[str]) -> list[tuple[str, str]]:
    """Return rows for the folders in which projects are looked for."""
    rows = []
    for pattern in patterns or ["./..."]:
        named, below = split_pattern(root, pattern)
        stack = [str(named)]
        while stack:
            folder = stack.pop()
            rows.append((UNIGNORED, folder))
            _, folders = _entries(folder)
            if below:
                stack += [f"{folder}/{name}" for name in folders]
    return rows
