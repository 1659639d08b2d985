"""A pipe of its own on which a test runner's plugin or reporter tells what happens.

A plugin gets `ENVY_TEST_EVENTS=DESCRIPTOR:NONCE` and writes lines of JSON: objects whose "nonce" is
that text. It has to remove the variable and to keep the descriptor from its children.

Guarantees
  What a test prints is never taken for an event, nor is a line without the nonce.
  A line that is too long or damaged is dropped and counted in `damaged`.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Callable, Mapping

from envy.content.json_text import parse_json

VARIABLE = "ENVY_TEST_EVENTS"
_LONGEST = 16 << 20  # bytes of a line


class EventChannel:
    """The pipe of one process. `feed` takes what was read from it."""

    def __init__(self, on_event: Callable[[Mapping[str, object]], None]) -> None:
        self._on_event = on_event
        self._nonce = secrets.token_hex(16)
        self._rest: list[bytes] = []
        self._size = 0
        self.damaged = 0
        self.pipe = os.pipe()

    @property
    def variables(self) -> dict[str, str]:
        """The variables that the process needs."""
        return {VARIABLE: f"{self.pipe[1]}:{self._nonce}"}

    def feed(self, chunk: bytes) -> None:
        """Take a chunk of what the process wrote."""
        *lines, rest = chunk.split(b"\n")
        for line in lines:
            if self._size <= _LONGEST:
                self._line(b"".join([*self._rest, line]))
            else:
                self.damaged += 1
            self._rest, self._size = [], 0
        self._size += len(rest)
        if self._size <= _LONGEST:
            self._rest.append(rest)
        else:
            self._rest.clear()

    def close(self) -> None:
        """Close the end that is read."""
        with contextlib.suppress(OSError):
            os.close(self.pipe[0])

    def _line(self, line: bytes) -> None:
        if not line:
            return
        try:
            row = parse_json(line.decode("utf-8", "surrogatepass"))
        except ValueError:
            self.damaged += 1
            return
        if isinstance(row, dict) and row.get("nonce") == self._nonce:
            self._on_event(row)
        else:
            self.damaged += 1
