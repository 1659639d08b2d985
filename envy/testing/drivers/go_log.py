"""The log that Go's testing package writes about what tests consult (`-test.testlogfile`).

It has the files that are opened, the statuses and variables that are asked for through package os,
and changes of the working folder, from the start of the tests to their end. It lacks what happens
before `m.Run`, what children do, the network, and system calls that bypass package os.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from envy.testing.consulted import Unkept

_HEADER = b"# test log\n"
_LONGEST = 64 << 20


def read_logs(paths: Iterable[Path]) -> Iterator[tuple[str, str]]:
    """Yield the (operation, name) pairs of the logs of a package's processes.

    Raises:
        Unkept: a log is missing or incomplete.
    """
    for path in paths:
        try:
            if path.stat().st_size > _LONGEST:
                raise Unkept("the log of its tests is too long")
            text = path.read_bytes()
        except OSError:
            text = b""
        if not text.startswith(_HEADER) or not text.endswith(b"\n"):
            raise Unkept("its TestMain does not let Go log what the tests read")
        for line in text[len(_HEADER) :].decode("utf-8", "surrogateescape").split("\n")[:-1]:
            operation, _, name = line.partition(" ")
            if line == _HEADER.decode().strip() or name == str(path):
                continue
            yield operation, name
