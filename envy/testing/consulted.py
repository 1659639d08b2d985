"""What the tests of a package consulted while they ran, as rows of evidence.

A driver reports what its language can tell: which files were opened, which statuses and variables
were asked for, and how the working folder changed.

Guarantees
  What was changed, made or removed during the run is not taken for what the tests have seen.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from envy.testing.evidence import (
    FILE,
    LISTING,
    MISSING,
    STATUS,
    VARIABLE,
    Fact,
    Unknown,
    Unsettled,
    is_settled,
    mark_of,
    observe,
)

MOST = 50_000  # rows of one package
_RANDOM = re.compile(r"[0-9]{6}")


class Unkept(Exception):
    """A result is not remembered; the text says why, as the end of a sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """Where and when tests ran: their folder, the names in it before, their variables."""

    directory: str
    names: Collection[str]
    environment: Mapping[str, str]
    since: int  # nanoseconds: what changed since then may have changed during the run


def rows_of(consulted: Iterable[tuple[str, str]], setting: Setting) -> list[Fact]:
    """Return the rows for (operation, name) pairs; the operations are open, stat, getenv and chdir.

    Raises:
        Unkept: what the tests have seen is not known.
    """
    here = setting.directory
    wanted: dict[tuple[str, str], None] = {}
    for operation, name in consulted:
        if operation == "getenv":
            wanted[VARIABLE, name] = None
            continue
        path = name if os.path.isabs(name) else f"{here}/{name}"
        if operation == "chdir":
            here = path
        elif operation in {"open", "stat"}:
            wanted[FILE if operation == "open" else STATUS, path] = None
        else:
            raise Unkept(f"its log has an unknown line: {operation}")
        if len(wanted) > MOST:
            raise Unkept(f"its tests consulted more than {MOST} files")
    wanted.pop((VARIABLE, "PWD"), None)  # each test runs with that of its folder
    # To remove a temporary folder, Go opens the folder of all of them, whose names mean nothing.
    wanted.pop((FILE, _temporary(setting)), None)
    try:
        return [_row(kind, subject, setting) for kind, subject in wanted]
    except Unsettled as error:
        raise Unkept(f"{error.subject} changed while the tests ran") from error
    except Unknown as error:
        raise Unkept(f"its tests consulted a file with a strange name, {str(error)!r}") from error


def _row(kind: str, subject: str, setting: Setting) -> Fact:
    if kind == FILE and os.path.isdir(subject):
        kind = LISTING
    fact = observe(kind, subject, setting.environment, since=setting.since)
    if fact.value == MISSING and kind != VARIABLE:
        _check_missing(subject, setting)
    return fact


def _check_missing(path: str, setting: Setting) -> None:
    """Raise Unsettled if a file that is missing now may have been there when the tests started."""
    above, name = os.path.split(os.path.normpath(path))
    while not os.path.isdir(above):
        if mark_of(above) != MISSING or above == os.path.dirname(above):
            return  # a file: nothing can have been below it
        above, name = os.path.split(above)
    if is_settled(mark_of(above), setting.since):
        return
    if above == setting.directory and name not in setting.names:
        return
    # Names of temporary files are random: nobody has made one of them before.
    if os.path.realpath(above) == os.path.realpath(_temporary(setting)) and _RANDOM.search(name):
        return
    raise Unsettled(path)


def _temporary(setting: Setting) -> str:
    return setting.environment.get("TMPDIR") or "/tmp"  # noqa: S108 - the system's default
