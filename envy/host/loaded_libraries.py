"""The loader and the libraries that a program of Linux needs beside itself."""

from __future__ import annotations

import os
import struct
from collections.abc import Mapping
from pathlib import Path

from envy.errors import ScriptFailed
from envy.host.children import Children
from envy.host.process import ProcessSpec, run

_INTERPRETER = 3  # PT_INTERP
_PATIENCE = 10.0  # seconds for the loader to list libraries


class LibrariesUnknown(Exception):
    """The libraries of a program are not known; the text says why, as the end of a sentence."""


def loaded_libraries(binary: Path, environment: Mapping[str, str], children: Children) -> list[str]:
    """Return the paths of the loader and the libraries of a program; nothing if it is static.

    Raises:
        LibrariesUnknown: its loader cannot list them.
    """
    loader = _interpreter_of(binary)
    if not loader:
        return []
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
        raise LibrariesUnknown(f"its libraries cannot be listed: {error.message}") from error
    if completed.exit_code:
        raise LibrariesUnknown("its libraries cannot be listed")
    found = [loader]
    for line in completed.stdout.decode("utf-8", "surrogateescape").splitlines():
        words = line.split()
        paths = [word for word in words if word.startswith("/")]
        if "=>" in words and not paths:
            raise LibrariesUnknown(f"its library {words[0]} is missing")
        found += [path for path in paths if os.path.normpath(path) == path]
    return found


def _interpreter_of(binary: Path) -> str:
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
