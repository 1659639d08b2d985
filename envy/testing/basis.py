"""What a whole run rests on, apart from what the tests consulted: collected by a driver.

It is observed when the packages are known and before anything is built, and confirmed at the end.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from envy.testing.consulted import Unkept
from envy.testing.evidence import (
    FILE,
    LISTING,
    MISSING,
    OTHER,
    REAL,
    Fact,
    Unknown,
    Unsettled,
    mark_of,
    observe,
    value_of,
)

_OF_THE_SYSTEM = ("/proc/", "/sys/", "/dev/fd/", "/run/")


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildUnit:
    """A part that binaries are built from: the units it uses, and the digests of its files."""

    uses: tuple[str, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Basis:
    """The evidence of a run; `trees` are folders that count whole, such as a toolchain."""

    facts: Sequence[Fact] = ()
    trees: Sequence[str] = ()
    unkept: str = ""  # why the run cannot be answered from evidence

    def confirm(self, environment: Mapping[str, str]) -> str:
        """Return what changed while the run lasted; "" if nothing did."""
        for fact in self.facts:
            if not fact.mark or mark_of(fact.subject) == fact.mark:
                continue
            # A test may make and remove a file in a folder; a file that was written is another.
            if fact.kind == FILE or value_of(fact.kind, fact.subject, environment) != fact.value:
                return f"{fact.subject} changed during the run"
        return ""


class Collector:
    """Collects rows, each once."""

    def __init__(self, environment: Mapping[str, str], since: int) -> None:
        self._environment = environment
        self._since = since
        self._rows: dict[tuple[str, str], Fact] = {}

    @property
    def facts(self) -> list[Fact]:
        """The rows so far."""
        return list(self._rows.values())

    def add(self, kind: str, subject: str) -> Fact:
        """Add one row.

        Raises:
            Unkept: its value proves nothing.
        """
        fact = self._rows.get((kind, subject))
        if fact is None:
            try:
                fact = observe(kind, subject, self._environment, since=self._since)
            except Unsettled as error:
                raise Unkept(
                    f"{error.subject} changed just before the run, or during it"
                ) from error
            except Unknown as error:
                raise Unkept(f"a file has a strange name, {str(error)!r}") from error
            self._rows[kind, subject] = fact
            if kind == FILE and fact.value == OTHER and os.path.isdir(subject):
                self.add(REAL, subject)  # a link to a folder, which `walked` follows
        return fact

    def add_whole(self, top: str, *, kind: str = LISTING) -> None:
        """Add every file and folder below a folder."""
        for folder, names in walked(top, hidden=kind == LISTING):
            self.add(kind, folder)
            for name in names:
                self.add(FILE, f"{folder}/{name}")

    def add_program(self, word: str, path: str, here: str) -> str | None:
        """Add a program as PATH finds it, and that no earlier folder has it; return its path."""
        if os.sep in word:
            candidates = [os.path.join(here, word)]
        else:
            candidates = [os.path.join(here, folder, word) for folder in path.split(os.pathsep)]
        for candidate in candidates:
            found = self.add(FILE, candidate)
            if found.value != MISSING and os.access(candidate, os.X_OK):
                self.add(REAL, candidate)
                return candidate
        return None


def walked(top: str, *, hidden: bool, follows: bool = True) -> Iterator[tuple[str, list[str]]]:
    """Yield each folder below `top`, itself included, with the names of its files.

    A link to a folder counts as a file, too; the folder follows by its real path, wherever it is,
    if this `follows` links. Without `hidden`, names that start with . or _ are left out.

    Raises:
        Unkept: a folder cannot be read, or a link leads into the system's own folders.
    """
    stack, seen = [top], set[tuple[int, int]]()
    while stack:
        folder = stack.pop()
        if not is_new_folder(folder, seen):
            continue
        names: list[str] = []
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    if not hidden and entry.name[0] in "._":
                        continue
                    if entry.is_dir(follow_symlinks=False):
                        stack.append(f"{folder}/{entry.name}")
                    else:
                        names.append(entry.name)
                        if follows and entry.is_symlink() and entry.is_dir():
                            stack.append(behind_link(f"{folder}/{entry.name}"))
        except OSError as error:
            raise Unkept(f"{folder} cannot be read: {error.strerror}") from error
        yield folder, names


def behind_link(path: str) -> str:
    """Return the folder that a link leads to.

    Raises:
        Unkept: it is one of the system's own, which has no end, or no content.
    """
    found = os.path.realpath(path)
    if found == "/" or found.startswith(_OF_THE_SYSTEM) or f"{found}/" in _OF_THE_SYSTEM:
        raise Unkept(f"{path} is a link to {found}")
    return found


def is_new_folder(path: str, seen: set[tuple[int, int]]) -> bool:
    """Return whether a folder was not seen under any path, and note it: links may lead in circles.

    One that cannot be read is new.
    """
    try:
        status = os.stat(path)
    except OSError:
        return True
    identity = status.st_dev, status.st_ino
    if identity in seen:
        return False
    seen.add(identity)
    return True
