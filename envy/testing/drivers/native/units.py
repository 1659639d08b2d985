"""One source file of a package: its flags, the files that it read, and its LLVM IR.

Guarantees
  A unit is compiled again exactly when its source, a file that it read, the toolchain or a flag has
  changed, or when a header appeared that its `#include`s would find first.
  Nothing is kept of a compilation during which one of its files was changed.
"""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from envy.testing.drivers.native.sources import is_cxx
from envy.testing.drivers.native.store import Digests, NativeStore, key_of
from envy.testing.drivers.native.toolchain import NativeToolchain

RUNTIME = Path(__file__).parent / "runtime"
DISPATCHER = str(RUNTIME / "dispatcher.c")
BITCODE = "unit.bc"


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """A source to compile. Paths in it are as the compiler gets them, from the working folder."""

    source: str
    folder: str  # the working folder of compilers
    flags: tuple[str, ...] = ()
    base: str = ""  # the key of all that is known without reading a file

    @property
    def is_cxx(self) -> bool:
        """Whether the source is C++."""
        return is_cxx(self.source)

    @property
    def path(self) -> str:
        """The absolute path of the source."""
        return os.path.join(self.folder, self.source)  # noqa: PTH118


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitState:
    """What one compilation of a unit read and wrote."""

    key: str
    bitcode: str  # the digest of its IR
    files: tuple[tuple[str, str], ...]  # each file that was read, with its digest
    fixed: tuple[str, ...]  # the names of the toolchain's own headers that were read
    names: str  # the digest of the headers beside it that its includes could find


def make_unit(source: str, folder: str, toolchain: NativeToolchain, flags: Iterable[str]) -> Unit:
    """Return a unit with the key of all that it needs no file for."""
    flags = tuple(flags)
    base = key_of(toolchain.identity, folder, source, flags)
    return Unit(source=source, folder=folder, flags=flags, base=base)


def known_state(unit: Unit, row: Any, digests: Digests, store: NativeStore) -> UnitState | None:
    """Return the state that a record has of a unit, if its files are as they were."""
    state = _parse(row)
    if state is None or _key(unit, state.files, state.names) != state.key:
        return None
    for path, digest in state.files:
        if digests.of(path) != digest:
            return None
    wanted = (*(path for path, _ in state.files), *state.fixed)
    if names_near(unit, wanted, digests) != state.names:
        return None
    return state if store.find(state.key, BITCODE) else None


def state_after(
    unit: Unit,
    headers: Path,
    bitcode: Path,
    toolchain: NativeToolchain,
    digests: Digests,
) -> UnitState:
    """Return the state of a unit that was just compiled."""
    root = f"{toolchain.root}{os.sep}"
    try:
        lines = headers.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:  # the source includes nothing
        lines = []
    read = dict.fromkeys(_absolute(unit.folder, line.strip()) for line in lines if line.strip())
    fixed = dict.fromkeys(_base(path) for path in read if path.startswith(root))
    paths = dict.fromkeys([unit.path, *(path for path in read if not path.startswith(root))])
    files = tuple((path, digests.of(path, fresh=True)) for path in paths)
    names = names_near(unit, (*paths, *fixed), digests)
    return UnitState(
        key=_key(unit, files, names),
        bitcode=Digests().of(str(bitcode)),
        files=files,
        fixed=tuple(fixed),
        names=names,
    )


def is_settled(state: UnitState, digests: Digests, started_ns: int) -> bool:
    """Return whether no file of a unit was changed since its compilation started."""
    return all(digests.is_settled(path, started_ns) for path, _ in state.files)


def now_ns() -> int:
    """Return the time by the clock of files."""
    return time.time_ns()


def names_near(unit: Unit, paths: Iterable[str], digests: Digests) -> str:
    """Return the headers that a folder of this unit has under a name that it includes, as a key.

    A header that appears in one of these folders may hide the one that was read.
    """
    wanted = {_base(path) for path in paths}
    found = []
    for folder in include_folders(unit):
        found.append(folder)
        found += [name for name in digests.headers_in(folder) if name in wanted]
    return key_of(found)


@functools.lru_cache(maxsize=1 << 14)  # most sources include the same headers
def _absolute(folder: str, name: str) -> str:
    return os.path.normpath(os.path.join(folder, name))  # noqa: PTH118


def _base(path: str) -> str:
    return path.rpartition("/")[2]


def include_folders(unit: Unit) -> list[str]:
    named = [
        flag.removeprefix(option)
        for flag in unit.flags
        for option in ("-I", "-iquote")
        if flag.startswith(option)
    ]
    return [
        os.path.dirname(unit.path),  # noqa: PTH120
        *(_absolute(unit.folder, name) for name in named),
    ]


def _key(unit: Unit, files: Sequence[tuple[str, str]], names: str) -> str:
    return key_of(unit.base, [f"{path}\0{digest}" for path, digest in files], names)


def as_row(state: UnitState) -> dict[str, Any]:
    """Return a state as plain data."""
    return {
        "key": state.key,
        "bitcode": state.bitcode,
        "files": [list(row) for row in state.files],
        "fixed": list(state.fixed),
        "names": state.names,
    }


def recorded_files(row: Any) -> list[str]:
    """Return the files that a record says a unit read, whether they are as they were or not."""
    state = _parse(row)
    return [path for path, _ in state.files] if state is not None else []


def _parse(row: Any) -> UnitState | None:
    try:
        return UnitState(
            key=str(row["key"]),
            bitcode=str(row["bitcode"]),
            files=tuple((str(path), str(digest)) for path, digest in row["files"]),
            fixed=tuple(str(name) for name in row["fixed"]),
            names=str(row["names"]),
        )
    except (KeyError, TypeError, ValueError):
        return None
