"""Whether changes can affect a native package: by the headers that its sources were seen to read,
the files below its folder, and what the manifest says of it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from envy.testing.affected import cause_of
from envy.testing.changes import EDITED, REMOVED, Changes
from envy.testing.drivers.native.build import BuildTask
from envy.testing.drivers.native.libraries import Libraries
from envy.testing.drivers.native.package import detail_of
from envy.testing.drivers.native.sources import SUFFIXES
from envy.testing.drivers.native.units import (
    RUNTIME,
    UnitState,
    include_folders,
    recorded_files,
)
from envy.testing.drivers.projects.changed import ProjectCause, names_match
from envy.testing.package import Known, PackageRun

# Headers of the system; git shows no change of what is installed.
_INSTALLED = ("/usr/include/", "/usr/lib/", "/usr/local/include/", "/nix/store/")


def affected_packages(
    runs: Sequence[PackageRun], libraries: Libraries, changes: Changes, known: Known
) -> dict[str, str]:
    """Return the packages that changes can affect, each with why."""
    found = {}
    for run in runs:
        cause = _cause(run, libraries, changes)
        why = cause.text or (cause_of(run, changes, known) if cause.is_unsure else "")
        if why:
            found[run.package.name] = why
    return found


def _cause(run: PackageRun, libraries: Libraries, changes: Changes) -> ProjectCause:
    detail = detail_of(run)
    task, recorded = detail.task, detail.record.get("units")
    directory = run.package.directory
    if task.messages:
        return ProjectCause("it cannot be built")
    if changes.manifest:
        return ProjectCause(f"{changes.manifest} changed")
    found = changes.of_folder(str(directory), hidden=False)
    states = list(task.states.values())
    rows = recorded.values() if isinstance(recorded, dict) else ()
    read = dict.fromkeys(path for row in rows for path in recorded_files(row))
    built_from = [path for one in states for path, _ in one.files]
    found = found or _first_of([*read, *built_from, *task.linked.paths], changes)
    found = found or _of_inputs(detail.inputs, changes)
    found = (
        found or _of_includes(task, states, changes) or _of_library(directory, libraries, changes)
    )
    if found:
        return ProjectCause(f"{found} changed")
    if len(states) < len(task.units):
        return ProjectCause("the headers that it includes are not known")
    used = (*built_from, *filter(os.path.isfile, task.linked.paths))
    files = [path for path in used if not path.startswith((str(RUNTIME), *_INSTALLED))]
    rests = (str(directory), *map(str, detail.inputs), *files)
    return ProjectCause(
        is_unsure=any(map(changes.cannot_tell, rests))
        or not all(changes.knows(str(given)) for given in detail.inputs)
    )


def _first_of(paths: Iterable[str], changes: Changes) -> str:
    return next(filter(None, map(changes.of_file, paths)), "")


def _of_inputs(inputs: Iterable[Path], changes: Changes) -> str:
    for given in inputs:
        found = changes.of_folder(str(given)) or changes.of_file(str(given))
        if found:
            return found
    return ""


def _of_includes(task: BuildTask, states: Iterable[UnitState], changes: Changes) -> str:
    """Return a header that came or went, with the name of one that is included."""
    names = {os.path.basename(path) for state in states  # noqa: PTH119
             for path in (*(path for path, _ in state.files), *state.fixed)}  # fmt: skip
    folders = {folder for unit in task.units for folder in include_folders(unit)}
    for folder in sorted(folders - {str(RUNTIME)}):
        for path in changes.below(folder):
            if changes.rows[path] != EDITED and os.path.basename(path) in names:  # noqa: PTH119
                return changes.shown(path)
    return ""


def _of_library(directory: Path, libraries: Libraries, changes: Changes) -> str:
    """Return a source that was removed from the library that the manifest names."""
    top = changes.real(str(libraries.root))
    for pattern in libraries.sources_of(directory):
        for path, how in changes.rows.items():
            is_source = how == REMOVED and path.endswith(SUFFIXES)
            if is_source and names_match(path, f"{top}/{pattern}"):
                return changes.shown(path)
    return ""
