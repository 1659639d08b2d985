"""The coverage profiles that Go's test binaries write, one for each process."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from envy.testing.coverage.model import FileCoverage, PackageCoverage
from envy.testing.drivers.go_flags import GoFlags

_ROW = re.compile(r"(.+):(\d+)\.(\d+),(\d+)\.(\d+) (\d+) (\d+)")
_FUNCTION = re.compile(r"func (?:\((?:\w+ )?\*?(\w+)[^)]*\) ?)?(\w+)")

COVERS_ALL = (1, 22)  # the first version that counts packages without tests


def joined_profiles(paths: Iterable[Path], flags: GoFlags) -> str:
    """Return profiles as one; a process that was killed has written none."""
    lines: list[str] = []
    for path in paths:
        if path.exists():
            rows = path.read_text(encoding="utf-8").splitlines()
            lines += rows if not lines else rows[1:]
    return "\n".join(lines) + "\n" if lines else f"mode: {_mode(flags)}\n"


def _mode(flags: GoFlags) -> str:
    for word in flags.build:
        name, _, value = word.lstrip("-").partition("=")
        if name == "covermode":
            return value
    return "atomic" if "-race" in flags.build else "set"


def covered_in(
    text: str, folders: Mapping[str, str], root: str, packages: dict[str, PackageCoverage]
) -> None:
    """Add a profile to packages; `folders` are those of packages, by import path.

    A file belongs to the package that it is part of, whichever package's tests cover it.
    """
    for row in text.splitlines():
        found = _ROW.fullmatch(row)
        if found is None:
            continue
        package, _, name = found[1].rpartition("/")
        folder = folders.get(package, package)
        path = os.path.join(folder, name)  # noqa: PTH118
        if path.startswith(f"{root}/"):
            path = path[len(root) + 1 :]
        into = packages.setdefault(package, PackageCoverage(name=package, unit="statements"))
        file = into.files.get(path)
        if file is None:
            file = into.files[path] = FileCoverage(functions=_functions(folder, name))
        first, start, last, end, weight, count = map(int, found.groups()[1:])
        file.add((first, start, last, end), weight, count)


def _functions(folder: str, name: str) -> dict[int, str]:
    """Return the functions of a source by line; gofmt puts each at the beginning of one."""
    try:
        text = Path(folder, name).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return {}
    found = {}
    for number, line in enumerate(text.split("\n"), 1):
        match = _FUNCTION.match(line)
        if match is not None:
            found[number] = f"{match[1]}.{match[2]}" if match[1] else match[2]
    return found
