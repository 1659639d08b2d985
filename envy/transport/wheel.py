"""Unpacking of the release files of pip and npm into usable trees.

Owns the layout of a wheel: `*.data/scripts` becomes `bin/`, `*.data/data`, `purelib` and `platlib`
go to the root, headers to `include/`; all other paths are kept. Entry points and dependencies are
not installed.
"""

import os
import shutil
import stat
from pathlib import Path

from envy.content.archive import extract, extract_placed
from envy.content.arriving import Arriving
from envy.content.below_root import BelowRoot, open_below
from envy.content.brought import Parts
from envy.content.count_files import CountFiles
from envy.content.extraction import judge_links
from envy.content.member_selection import MemberSelection
from envy.errors import ArchiveError

_LONGEST_LINE = 1 << 16
_PLACES = {
    "scripts": ("bin",),
    "data": (),
    "purelib": (),
    "platlib": (),
    "headers": ("include",),
}


def lay_out_wheel(path: Path, dest: Path) -> int:
    """Unpack a wheel into a folder, and judge the links; see `lay_out_wheel_below`."""
    with open_below(dest) as below:
        count = lay_out_wheel_below(path, below, ())
        judge_links(below)
    return count


def lay_out_wheel_below(
    path: Path,
    below: BelowRoot,
    into: Parts,
    *,
    select: MemberSelection | None = None,
    report: CountFiles | None = None,
    arriving: Arriving | None = None,
) -> int:
    """Unpack a wheel below a root, in the layout of an installed one; returns the count of files.

    Raises:
        ArchiveError: the wheel is damaged or empty, or a file would be outside of the root.
    """
    scripts: list[Parts] = []

    def place(parts: Parts) -> Parts | None:
        if len(parts) < 3 or not parts[0].endswith(".data") or parts[1] not in _PLACES:
            return parts
        placed = (*_PLACES[parts[1]], *parts[2:])
        if parts[1] == "scripts":
            scripts.append(into + placed)
        return placed

    count = extract_placed(
        path, below, into, place, select=select, report=report, arriving=arriving
    )
    if not count:
        raise ArchiveError(f"{path} is an empty wheel", archive=path)
    for parts in scripts:
        _make_script(below, parts)
    return count


def _make_script(below: BelowRoot, parts: Parts) -> None:
    status = below.status(parts)
    if status is None or not stat.S_ISREG(status.st_mode):
        return
    with open(below.open_file(parts), "rb") as old:  # noqa: PTH123
        if old.read(8) != b"#!python":
            below.set_mode(parts, 0o755)
            return
        while (line := old.readline(_LONGEST_LINE)) and not line.endswith(b"\n"):
            pass
        # Installers put the interpreter that they install for in its place; envy takes any.
        with open(below.create_file(parts, 0o755), "wb") as new:  # noqa: PTH123
            new.write(b"#!/usr/bin/env python3\n")
            shutil.copyfileobj(old, new)
            new.flush()
            os.fchmod(new.fileno(), 0o755)


def lay_out_npm(path: Path, dest: Path) -> int:
    """Unpack an npm tarball without its leading folder; returns the count of files."""
    return extract(path, dest, strip=1)
