"""Programs that npm has installed for a project: where they are, and what says which they are."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

from envy.content.json_text import parse_json
from envy.testing.coverage.model import FileCoverage
from envy.testing.drivers.projects.inputs import path_rows
from envy.testing.drivers.projects.measuring import read_traces
from envy.testing.drivers.projects.node_installed import installed_rows
from envy.testing.drivers.projects.project import Folder, NotTestable, SuiteProject, Tools
from envy.testing.evidence import FILE

LOCKS = ("package-lock.json", "pnpm-lock.yaml", "yarn.lock", "bun.lock")
_OF_TESTS = re.compile(r"\.(?:test|spec)\.[cm]?[jt]sx?$|(?:^|/)(?:node_modules|__tests__)/")


def description_of(folder: Folder) -> Mapping[str, object]:
    """Return what package.json of a folder says; nothing if it cannot be read."""
    try:
        row = parse_json(folder.read("package.json") or "{}")
    except ValueError:
        return {}
    return row if isinstance(row, dict) else {}


def depends_on(description: Mapping[str, object], name: str) -> bool:
    """Return whether a package.json names a package as a dependency."""
    tables = (description.get(table) for table in ("devDependencies", "dependencies"))
    return any(isinstance(table, dict) and name in table for table in tables)


def runner_rows(name: str, project: SuiteProject, tools: Tools) -> list[tuple[str, str]]:
    """Return rows of evidence: node, a runner, and what says which packages are installed."""
    path = tools.environment_of(project).get("PATH", "")
    rows = [*path_rows("node", path, project.folder), *installed_rows(project)]
    for folder in (project.directory, *project.directory.parents):
        if folder == project.directory or (folder / "node_modules").is_dir():
            rows += [
                (FILE, f"{folder}/node_modules/{name}/package.json"),
                *((FILE, f"{folder}/{lock}") for lock in LOCKS),
            ]
    return rows


def find_node(project: SuiteProject, tools: Tools) -> str:
    """Return node.

    Raises:
        NotTestable: there is none.
    """
    found = tools.find_program("node", project)
    if found is None:
        raise NotTestable(
            f"the tests of {project.directory} need node, and none is on PATH",
            hint='add node to envy.lua: packages = { "envy.node@r1" }',
        )
    return found


def find_runner(name: str, module: str, project: SuiteProject) -> str:
    """Return the module of a runner in the `node_modules` of a project, or above it.

    Raises:
        NotTestable: it is not installed.
    """
    for folder in (project.directory, *project.directory.parents):
        place = folder / "node_modules" / name / module
        if place.is_file():
            return os.fspath(place)
    raise NotTestable(
        f"the tests of {project.directory} need {name}, which is not installed",
        hint="install the packages of the project, such as by `npm ci`",
    )


def is_installed(name: str, project: SuiteProject) -> bool:
    """Return whether a package is installed for a project."""
    folders = (project.directory, *project.directory.parents)
    return any((folder / "node_modules" / name).is_dir() for folder in folders)


def covered_lines(project: SuiteProject, tools: Tools) -> Mapping[str, FileCoverage]:
    """Return the files of a project in the tracefiles of its tests, apart from tests."""
    return read_traces(
        project, tools, ending="lcov.info",
        counts=lambda path: _OF_TESTS.search(path) is None,
    )  # fmt: skip
