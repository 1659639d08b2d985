"""Unpacking of the release files of pip and npm into usable trees.

Owns the layout of a wheel: `*.data/scripts` becomes `bin/`, `*.data/data`, `purelib` and `platlib`
go to the root, headers to `include/`; all other paths are kept. Entry points and dependencies are
not installed.
"""

from pathlib import Path

from envy.content.archive import extract, extract_placed
from envy.content.extraction import Parts
from envy.errors import ArchiveError

_PLACES = {
    "scripts": ("bin",),
    "data": (),
    "purelib": (),
    "platlib": (),
    "headers": ("include",),
}


def lay_out_wheel(path: Path, dest: Path) -> int:
    """Unpack a wheel below `dest`, in the layout of an installed one; returns the count of files.

    Raises:
        ArchiveError: the wheel is damaged or empty, or a file would be outside of `dest`.
    """
    scripts: list[Parts] = []

    def place(parts: Parts) -> Parts | None:
        if len(parts) < 3 or not parts[0].endswith(".data") or parts[1] not in _PLACES:
            return parts
        placed = (*_PLACES[parts[1]], *parts[2:])
        if parts[1] == "scripts":
            scripts.append(placed)
        return placed

    count = extract_placed(path, dest, place)
    if not count:
        raise ArchiveError(f"{path} is an empty wheel", archive=path)
    for parts in scripts:
        _make_script(dest.joinpath(*parts))
    return count


def _make_script(script: Path) -> None:
    if not script.is_file():
        return
    with script.open("rb") as file:
        is_python = file.read(8) == b"#!python"
    if is_python:
        # Installers put the interpreter that they install for in its place; envy takes any.
        _, _, rest = script.read_bytes().partition(b"\n")
        script.write_bytes(b"#!/usr/bin/env python3\n" + rest)
    script.chmod(0o755)


def lay_out_npm(path: Path, dest: Path) -> int:
    """Unpack an npm tarball without its leading folder; returns the count of files."""
    return extract(path, dest, strip=1)
