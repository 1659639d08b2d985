"""Which Go packages changes can affect: by what their test binaries are built from, and by what
their tests read when they last passed.

Guarantees
  A package whose tests are not known to pass with everything as it is now is affected.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from envy.testing.affected import cause_of
from envy.testing.changes import Changes
from envy.testing.drivers.go_flags import GoFlags
from envy.testing.drivers.go_list import EMBED_PATTERNS, GoPackage
from envy.testing.package import Known, PackageRun

# These decide which versions and which folders all packages are built from.
_OF_ALL = frozenset({"go.mod", "go.sum", "go.work", "go.work.sum", "modules.txt"})
_C = (
    *(".c", ".cc", ".cpp", ".cxx", ".h", ".hh", ".hpp", ".hxx", ".inc", ".def", ".m", ".mm"),
    *(".s", ".S", ".sx", ".f", ".F", ".for", ".f90", ".a", ".o", ".so", ".syso"),
)
_SOURCES = (".go", ".swig", ".swigcxx", *_C)
_WITH_C = ("CgoFiles", "CFiles", "CXXFiles", "MFiles", "HFiles", "FFiles", "SFiles", "SwigFiles",
           "SwigCXXFiles")  # fmt: skip
# Flags with which a binary is built from more than the listed files.
_FOREIGN = ("-coverpkg", "-modfile", "-overlay", "-pgo", "-toolexec")


def affected_packages(
    runs: Sequence[PackageRun], changes: Changes, known: Known, flags: GoFlags
) -> dict[str, str]:
    """Return the packages that changes can affect, each with why."""
    if not runs:
        return {}
    of_all = _cause_of_all(changes, flags)
    if of_all:
        return {run.package.name: of_all for run in runs}
    detail = runs[0].package.detail
    assert isinstance(detail, GoPackage)
    touched = _touched(detail.records, changes)
    found = {}
    for run in runs:
        cause = _cause(run, touched, changes, known)
        if cause:
            found[run.package.name] = cause
    return found


def _cause(
    run: PackageRun, touched: Mapping[str, str], changes: Changes, known: Known
) -> str:  # fmt: skip
    detail = run.package.detail
    assert isinstance(detail, GoPackage)
    if not detail.is_sound:
        return "go list reports an error in it"
    cause = touched.get(detail.main or run.package.name, "")
    if not cause and run.package.has_tests:
        cause = changes.of_folder(f"{run.package.directory}/testdata")
        cause = cause or _embedded(detail.record, EMBED_PATTERNS, changes)
    if cause:
        return f"{cause} changed"
    return cause_of(run, changes, known) if run.package.has_tests else ""


def _cause_of_all(changes: Changes, flags: GoFlags) -> str:
    for word in flags.build:
        name = f"-{word.partition('=')[0].lstrip('-')}"
        if name in _FOREIGN:
            return f"{name} is given"
    for path in changes.rows:
        folders, name = os.path.split(changes.shown(path))
        parts = folders.split("/")
        is_fixture = any(part == "testdata" or part[:1] in {".", "_"} for part in parts)
        if name in _OF_ALL and not is_fixture and (name != "modules.txt" or parts[-1] == "vendor"):
            return f"{changes.shown(path)} changed"
    return ""


def _touched(records: Mapping[str, Mapping[str, Any]], changes: Changes) -> dict[str, str]:
    """Return the listed packages that are built from something that changed, each with a file."""
    users: dict[str, list[str]] = {}
    found: dict[str, str] = {}
    of_c = next((changes.shown(path) for path in changes.rows if path.endswith(_C)), "")
    for name, row in records.items():
        renamed = row.get("ImportMap") or {}
        for used in row.get("Imports") or ():
            users.setdefault(renamed.get(used, used), []).append(name)
        cause = _own_cause(row, changes, of_c)
        if cause:
            found[name] = cause
    stack = list(found)
    while stack:
        name = stack.pop()
        for user in users.get(name, ()):
            if user not in found:
                found[user] = found[name]
                stack.append(user)
    return found


def _own_cause(row: Mapping[str, Any], changes: Changes, of_c: str) -> str:
    folder = row.get("Dir", "")
    is_generated = row.get("Name") == "main" and str(row["ImportPath"]).endswith(".test")
    if not folder or is_generated or not changes.contains(folder):
        return ""
    # A header or a library may lie anywhere.
    if of_c and any(row.get(field) for field in _WITH_C):
        return of_c
    for path in changes.in_folder(folder):
        name = os.path.basename(path)  # noqa: PTH119
        if name == "default.pgo" or (name.endswith(_SOURCES) and _may_hold(row, name)):
            return changes.shown(path)
    embedded = _embedded(row, EMBED_PATTERNS[:1], changes)
    if embedded:
        return embedded
    # A source may be a link, or belong to a repository of its own.
    links = (f"{folder}/{name}" for name in row.get("GoFiles") or ())
    return next(filter(None, map(changes.of_file, links)), "")


def _may_hold(row: Mapping[str, Any], name: str) -> bool:
    """Return whether a package may be built from a file of its folder."""
    if not name.endswith("_test.go"):
        return True
    tested = row.get("ForTest")
    path = str(row["ImportPath"]).partition(" ")[0]
    return bool(tested) and path in {tested, f"{tested}_test"}


def _embedded(row: Mapping[str, Any], fields: Sequence[str], changes: Changes) -> str:
    """Return a changed file that these fields of a listed package may embed."""
    patterns = [str(one).removeprefix("all:") for field in fields for one in row.get(field) or ()]
    folder = row.get("Dir", "")
    for path in changes.below(folder) if patterns else ():
        inner = path[len(changes.real(folder)) + 1 :]
        if any(_embeds(pattern, inner) for pattern in patterns):
            return changes.shown(path)
    return ""


def _embeds(pattern: str, inner: str) -> bool:
    """Return whether a pattern of go:embed means a file, or a folder that has it."""
    wanted, parts = pattern.split("/"), inner.split("/")
    return len(parts) >= len(wanted) and (
        pattern == "." or all(map(fnmatchcase, parts, wanted))
    )  # fmt: skip
