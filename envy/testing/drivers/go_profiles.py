"""The coverage profiles that Go's test binaries write, one for each process."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from envy.testing.drivers.go_flags import GoFlags

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
