"""What kinds share when they measure coverage: a file for each process, and reading tracefiles."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Mapping
from pathlib import Path

from envy.content.plain_file import NotPlain, read_plain
from envy.limits import TEST_REPORT
from envy.testing.coverage.lcov import DamagedTrace, read_lcov
from envy.testing.coverage.model import FileCoverage, add_files
from envy.testing.drivers.projects.project import NotTestable, SuiteProject, Tools
from envy.testing.evidence import digest_of

_numbers = itertools.count(1)


def folder_of(project: SuiteProject, tools: Tools) -> Path:
    """Return the folder for what the tests of a project cover, made if it is missing."""
    assert tools.coverage is not None
    suite = f"{project.settings.name}\0{project.folder}".encode("utf-8", "surrogateescape")
    folder = tools.coverage / digest_of(suite)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def new_file(project: SuiteProject, tools: Tools, ending: str) -> Path:
    """Return the path of a file for one process."""
    return folder_of(project, tools) / f"{next(_numbers)}{ending}"


def read_traces(
    project: SuiteProject, tools: Tools, *, ending: str, counts: Callable[[str], bool]
) -> Mapping[str, FileCoverage]:
    """Return what the tracefiles of a project have of files below it, by absolute paths.

    `counts` is asked whether a file counts, by its path below the project.

    Raises:
        NotTestable: one cannot be read.
    """
    found: dict[str, FileCoverage] = {}
    for path in sorted(folder_of(project, tools).rglob(f"*{ending}")):
        try:
            text = read_plain(str(path), TEST_REPORT).decode("utf-8", "surrogateescape")
            add_files(found, _own(read_lcov(text), project, counts))
        except (OSError, NotPlain, DamagedTrace) as error:
            raise NotTestable(f"what was measured cannot be read: {error}") from error
    return found


def _own(
    files: Mapping[str, FileCoverage], project: SuiteProject, counts: Callable[[str], bool]
) -> dict[str, FileCoverage]:
    top = os.path.realpath(project.folder)
    found: dict[str, FileCoverage] = {}
    for name, file in files.items():
        path = os.path.realpath(os.path.join(top, name))  # noqa: PTH118
        inner = path.removeprefix(f"{top}/")
        if inner != path and file.blocks and counts(inner):
            add_files(found, {f"{project.folder}/{inner}": file})
    return found
