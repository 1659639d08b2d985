"""What a test executable tells: results on a descriptor of their own, output with marks.

Guarantees
  A result counts only if it came on the results' descriptor with the nonce of the process: what a
  test prints can at most give its output to another test.
  At most `LIMIT` bytes of a test's output become events, half from each end.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

LIMIT = 8 << 20
_LONGEST_LINE = 64 << 10
_NANOSECONDS = 1e9


@dataclass(frozen=True, slots=True)
class TestEnd:
    """The result of one test."""

    __test__ = False

    code: int
    seconds: float


@dataclass(slots=True)
class Channel:
    """The pipe on which one process writes its results."""

    nonce: str = field(default_factory=lambda: secrets.token_hex(8))
    read_end: int = -1
    write_end: int = -1
    started: dict[int, float] = field(default_factory=dict)  # by index, by time.monotonic
    ended: dict[int, TestEnd] = field(default_factory=dict)
    done: bool = False
    _rest: bytes = b""

    def open(self) -> None:
        """Create the pipe."""
        self.read_end, self.write_end = os.pipe()
        os.set_blocking(self.read_end, False)

    def close(self) -> None:
        """Close both ends."""
        for end in (self.read_end, self.write_end):
            with contextlib.suppress(OSError):
                os.close(end)

    @property
    def variable(self) -> str:
        """The value of ENVY_TEST_RESULTS for the process."""
        return f"{self.write_end}:{self.nonce}"

    def drain(self) -> None:
        """Read what the process has written so far."""
        while True:
            try:
                chunk = os.read(self.read_end, 1 << 16)
            except (BlockingIOError, OSError):
                return
            if not chunk:
                return
            self.take(chunk)

    def take(self, chunk: bytes) -> None:
        """Take what a process has written."""
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        for line in lines:
            self._line(line.decode("ascii", "replace"))

    def _line(self, line: str) -> None:
        words = line.split(" ")
        if words[0] != self.nonce:
            return
        with contextlib.suppress(ValueError, IndexError):
            if words[1] == "S":
                self.started[int(words[2])] = time.monotonic()
            elif words[1] == "E":
                end = TestEnd(int(words[3]), int(words[4]) / _NANOSECONDS)
                self.ended.setdefault(int(words[2]), end)
            elif words[1] == "D":
                self.done = True


class OutputSplitter:
    """Divides the output of a process by its marks."""

    def __init__(
        self,
        nonce: str,
        *,
        on_output: Callable[[bytes], None],
        on_mark: Callable[[str, int], None],
    ) -> None:
        self._begin = b"\x16" + nonce.encode() + b":"
        self._on_output = on_output
        self._on_mark = on_mark
        self._rest = b""

    def feed(self, chunk: bytes) -> None:
        """Take a chunk of output."""
        data = self._rest + chunk
        self._rest = b""
        while data:
            at = data.find(self._begin)
            if at < 0:
                keep = _overlap(data, self._begin)
                self._on(data[: len(data) - keep])
                self._rest = data[len(data) - keep :]
                return
            end = data.find(b"\n", at)
            if end < 0:
                self._on(data[:at])
                if len(data) - at > len(self._begin) + 16:  # no mark is as long
                    self._on(data[at:])
                else:
                    self._rest = data[at:]
                return
            self._on(data[:at])
            text = data[at + len(self._begin) : end].decode("ascii", "replace")
            if text[:1] in {"S", "E"} and text[1:].isdecimal():
                self._on_mark(text[0], int(text[1:]))
            data = data[end + 1 :]

    def finish(self) -> None:
        """Take the end of the output."""
        self._on(self._rest)
        self._rest = b""

    def _on(self, data: bytes) -> None:
        if data:
            self._on_output(data)


def _overlap(data: bytes, begin: bytes) -> int:
    """Return how many bytes at the end of the data may be the beginning of a mark."""
    for length in range(min(len(begin) - 1, len(data)), 0, -1):
        if data.endswith(begin[:length]):
            return length
    return 0


class LineLimiter:
    """Passes on the lines of one test, and of much output only the two ends."""

    def __init__(self, emit: Callable[[str], None], limit: int = LIMIT) -> None:
        self._emit = emit
        self._half = limit // 2
        self._room = self._half
        self._rest = b""
        self._tail: deque[bytes] = deque()
        self._tail_size = 0
        self._left_out = 0

    def feed(self, data: bytes) -> None:
        """Take output of the test."""
        if self._room <= 0:
            self._put_aside(data)
            return
        self._room -= len(data)
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._emit(line.decode("utf-8", "replace") + "\n")
        if len(self._rest) > _LONGEST_LINE:
            self._emit(self._rest.decode("utf-8", "replace"))
            self._rest = b""

    def finish(self) -> None:
        """Pass on what is left; the last line gets a newline if it has none."""
        if self._left_out:
            self._emit_rest()
            self._emit(f"... envy left out {self._left_out} bytes of output ...\n")
        if self._tail:
            *lines, self._rest = (self._rest + b"".join(self._tail)).split(b"\n")
            self._tail.clear()
            for line in lines:
                self._emit(line.decode("utf-8", "replace") + "\n")
        self._emit_rest()

    def _emit_rest(self) -> None:
        if self._rest:
            self._emit(self._rest.decode("utf-8", "replace") + "\n")
            self._rest = b""

    def _put_aside(self, data: bytes) -> None:
        self._tail.append(data)
        self._tail_size += len(data)
        while self._tail_size - len(self._tail[0]) > self._half:
            dropped = self._tail.popleft()
            self._tail_size -= len(dropped)
            self._left_out += len(dropped)


def ranges(indexes: Sequence[int]) -> str:
    """Return indexes as the dispatcher takes them: `0-4,7`."""
    parts: list[list[int]] = []
    for index in indexes:
        if parts and parts[-1][1] + 1 == index:
            parts[-1][1] = index
        else:
            parts.append([index, index])
    return ",".join(f"{a}-{b}" if a != b else str(a) for a, b in parts)
