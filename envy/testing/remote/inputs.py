"""The files that a test binary needs on another machine: its inputs, and the libraries it loads."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable, Mapping
from pathlib import Path

from envy.errors import ScriptFailed
from envy.host.children import Children
from envy.host.process import ProcessSpec, run
from envy.testing.basis import walked
from envy.testing.consulted import Unkept
from envy.testing.shared.places import PROJECT, NamedPlaces

BINARY = "envy-test-binary"
MOST_FILES = 5_000
_INTERPRETER = 3  # PT_INTERP
_PATIENCE = 10.0  # seconds for the loader to list libraries


class StaysHere(Exception):
    """The tests of a package run on this machine; the text says why, as the end of a sentence."""


def folder_of(directory: Path, places: NamedPlaces) -> str:
    """Return the folder of a package below the input root: its path in the project.

    Raises:
        StaysHere: it is not in the project.
    """
    name, _, rest = places.named(str(directory)).partition("/")
    if name != PROJECT:
        raise StaysHere("it is not in the project")
    return rest


def program_of(folder: str) -> str:
    """Return the path of the test binary, from the folder of its package."""
    depth = folder.count("/") + 1 if folder else 0
    return f"{'../' * depth or './'}{BINARY}"


def files_below(
    tops: Iterable[Path], places: NamedPlaces, *, hidden: bool = True
) -> dict[str, str]:
    """Return the files that are, or lie below, `tops`, by their paths below the input root.

    Without `hidden`, names that start with . or _ are left out.

    Raises:
        StaysHere: one is missing or not in the project, or there are too many.
    """
    found: dict[str, str] = {}
    for top in tops:
        above = folder_of(top, places)
        if not top.is_dir():
            if not top.is_file():
                raise StaysHere(f"its input {top} is not there")
            found[above] = str(top)
            continue
        try:
            for folder, names in walked(str(top), hidden=hidden, follows=False):
                rest = os.path.relpath(folder, top)
                below = above if rest == "." else f"{above}/{rest}".lstrip("/")
                found |= {f"{below}/{name}".lstrip("/"): f"{folder}/{name}" for name in names}
                if len(found) > MOST_FILES:
                    raise StaysHere(f"it has more than {MOST_FILES} inputs")
        except Unkept as error:
            raise StaysHere(str(error)) from error
    link = next((path for path in found.values() if os.path.isdir(path)), None)  # noqa: PTH112
    if link is not None:
        raise StaysHere(f"its input {link} is a link to a folder")
    odd = next((name for name in found if not name.isprintable()), None)
    if odd is not None:
        raise StaysHere(f"an input has a strange name, {odd!r}")
    return found


def libraries_of(
    binary: Path, environment: Mapping[str, str], children: Children
) -> dict[str, str]:
    """Return the loader and the libraries of a program; nothing if it is static.

    They lie below the input root where they lie here, so that a server that makes the input root
    the root of all paths finds them.

    Raises:
        StaysHere: they are not known.
    """
    loader = interpreter_of(binary)
    if not loader:
        return {}
    try:
        completed = run(
            ProcessSpec(
                argv=[loader, "--list", str(binary)],
                command=f"{loader} --list",
                cwd=binary.parent,
                environment=environment,
                children=children,
                label="loader",
                capture=True,
                timeout=_PATIENCE,
            )
        )
    except ScriptFailed as error:
        raise StaysHere(f"its libraries cannot be listed: {error.message}") from error
    if completed.exit_code:
        raise StaysHere("its libraries cannot be listed")
    found = {loader.lstrip("/"): loader}
    for line in completed.stdout.decode("utf-8", "surrogateescape").splitlines():
        words = line.split()
        paths = [word for word in words if word.startswith("/")]
        if "=>" in words and not paths:
            raise StaysHere(f"its library {words[0]} is missing")
        found |= {path.lstrip("/"): path for path in paths if os.path.normpath(path) == path}
    return found


def interpreter_of(binary: Path) -> str:
    """Return the loader that an ELF program names; "" if it is static, or not ELF."""
    try:
        with binary.open("rb") as file:
            head = file.read(64)
            if head[:6] != b"\x7fELF\x02\x01" or len(head) < 64:
                return ""
            start, size, count = (
                *struct.unpack_from("<Q", head, 32),
                *struct.unpack_from("<HH", head, 54),
            )
            for number in range(count):
                file.seek(start + number * size)
                row = file.read(56)
                if len(row) == 56 and struct.unpack_from("<I", row)[0] == _INTERPRETER:
                    offset, length = struct.unpack_from("<Q", row, 8)[0], row[32:40]
                    file.seek(offset)
                    text = file.read(min(struct.unpack("<Q", length)[0], 4096))
                    return text.rstrip(b"\0").decode("utf-8", "surrogateescape")
    except (OSError, struct.error):
        return ""
    return ""
