"""Whether changes can affect a project: by its declared inputs, its programs and the manifest."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from envy.testing.changes import REMOVED, Changes
from envy.testing.drivers.projects.project import SuiteProject
from envy.testing.evidence import FILE, FOLDER, LISTING, STATUS, UNIGNORED, Fact

_FOLDERS = frozenset({FOLDER, LISTING, UNIGNORED})


@dataclass(frozen=True, slots=True)
class ProjectCause:
    """Why a project is affected; `is_unsure` if git cannot tell of something that it rests on."""

    text: str = ""
    is_unsure: bool = False


def cause_in_project(
    project: SuiteProject,
    inputs: Iterable[tuple[str, str]],
    programs: Iterable[tuple[str, str]],
    changes: Changes,
    *,
    root: Path,
) -> ProjectCause:
    """Return whether changes can affect a project.

    `inputs` and `programs` are what it rests on, as rows of (kind, subject). What is installed for
    its programs is ignored by git as a rule, and does not count then, unless the row is of the
    kind STATUS, as of how a build folder is configured. `root` is the folder of the manifest.
    """
    if changes.project:
        return ProjectCause(changes.project)
    inputs, programs = list(inputs), list(programs)
    settings = project.settings
    if settings.inputs is None:
        if not changes.contains(project.folder):
            return ProjectCause(is_unsure=True)
        found = changes.of_folder(project.folder)
    else:
        found = _of_patterns(settings.inputs, root, changes)
    if not found:
        rows = (Fact(kind, subject, "") for kind, subject in (*inputs, *programs))
        found = next(filter(None, map(changes.of_fact, rows)), "")
    if found:
        return ProjectCause(f"{found} changed")
    files = [subject for kind, subject in inputs if kind == FILE]
    files += [subject for kind, subject in programs if kind == STATUS]
    folders = [subject for kind, subject in inputs if kind in _FOLDERS]
    named = (_fixed_folder(root, pattern) for pattern in settings.inputs or ())
    return ProjectCause(
        is_unsure=any(map(changes.cannot_tell, files))
        or not all(map(changes.contains, folders))
        or not all(map(changes.knows, named))
    )


def _fixed_folder(root: Path, pattern: str) -> str:
    """Return the folder that all matches of a pattern lie in, or what it names without a star."""
    parts = pattern.split("/")
    stars = (at for at, part in enumerate(parts) if any(sign in part for sign in "*?["))
    fixed = "/".join(parts[: next(stars, len(parts))])
    start = "/" if pattern.startswith("/") else str(root)
    return os.path.normpath(f"{start}/{fixed}")


def _of_patterns(patterns: Iterable[str], root: Path, changes: Changes) -> str:
    """Return the first change that patterns of `inputs` mean; a removed file is found by its name.

    A star stands for slashes, too: at worst, a package runs.
    """
    for pattern in patterns:
        if not any(sign in pattern for sign in "*?["):
            found = changes.of_folder(os.path.normpath(root / pattern))
            found = found or changes.of_file(os.path.normpath(root / pattern))
            if found:
                return found
            continue
        whole = os.path.normpath(os.path.join(changes.real(str(root)), pattern))  # noqa: PTH118
        for path, how in changes.rows.items():
            if how == REMOVED and names_match(path, whole):
                return changes.shown(path)
    return ""


def names_match(path: str, pattern: str) -> bool:
    """Return whether a path, or a folder above it, may match a pattern."""
    shorter = pattern.replace("**/", "")  # `**/` may stand for nothing
    return any(
        fnmatchcase(path, one) or fnmatchcase(path, f"{one}/*") for one in {pattern, shorter}
    )
