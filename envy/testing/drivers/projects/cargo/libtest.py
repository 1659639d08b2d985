"""What a test binary of Rust tells: its list of tests, its log of results, and its output.

The log (`--logfile`) has a line for each test, in their order with `--test-threads=1`. It is
written before the result is printed, so a result that was printed is in the log.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from envy.testing.drivers.projects.serial import Ended

_LISTED = (": test", ": benchmark")
_NOTICE = b"warning: `--logfile` is deprecated"
_RESULT = rb"(?:ok|FAILED|ignored[^\n]*)\n"
_MODE = rb"(?: - [a-z][a-z ]*)?"  # ` - should panic`, ` - compile fail`
_END = rb"\n(?:failures|successes):\n|\ntest result: "
_BEFORE = re.compile(rb"\A.*^running \d+ tests?\n", re.DOTALL | re.MULTILINE)
_SUMMARY = re.compile(rb"(?:" + _END + rb").*", re.DOTALL)


def parse_list(text: str) -> list[str]:
    """Return the names in the output of `--list --format terse`, in their order."""
    names: dict[str, None] = {}
    for line in text.splitlines():
        for ending in _LISTED:
            if line.endswith(ending):
                names[line.removesuffix(ending)] = None
    return list(names)


class LibtestLog:
    """Reads the log of a process that runs these tests one after another."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names
        self._at = 0
        self._rest = b""

    def feed(self, data: bytes) -> list[Ended]:
        """Take a chunk of the log; return the results that it completes."""
        self._rest += data
        found = []
        while self._at < len(self._names):
            tail = _tail(self._names[self._at])
            end = self._rest.find(tail)
            if end < 0:
                break
            if self._at:
                # A test that has written to the log by itself has more than one line there.
                again = self._rest.rfind(_tail(self._names[self._at - 1]), 0, end)
                if again >= 0:
                    again += len(_tail(self._names[self._at - 1]))
                    self._rest, end = self._rest[again:], end - again
            found.append(_ended(self._rest[:end].decode("utf-8", "replace")))
            self._rest = self._rest[end + len(tail) :]
            self._at += 1
        return found


def _tail(name: str) -> bytes:
    return b" " + name.encode() + b"\n"


def _ended(text: str) -> Ended:
    """Return the result that a line of the log tells, without the name."""
    word, _, message = text.partition(": ")
    if word == "ok" or word.startswith("test "):
        return Ended("pass")
    if word == "ignored":
        return Ended("skip", message=message)
    if word == "failed (time limit exceeded)":
        return Ended("fail", "time limit exceeded")
    return Ended("fail", message=message if word == "failed" else text)


class LibtestFraming:
    """What libtest prints around a test with `--nocapture`: `test NAME ... ` and its result."""

    def __init__(self, *, after_cargo: bool = False) -> None:
        self._after_cargo = after_cargo  # which has printed something, too

    def start_of(self, name: str, data: bytes, *, final: bool) -> tuple[int, int] | None:
        """Return where the line that starts a test begins and ends."""
        del final
        found = re.search(rb"^test " + re.escape(name.encode()) + _MODE + rb" \.\.\. ", data,
                          re.MULTILINE)  # fmt: skip
        return found.span() if found else None

    def end_of(self, name: str, after: str, data: bytes, *, final: bool) -> tuple[int, int] | None:
        """Return where the result that is printed after a test begins and ends."""
        del name
        if after:
            following = rb"test " + re.escape(after.encode()) + _MODE + rb" \.\.\. "
            found = re.search(_RESULT + rb"(?=" + following + rb")", data)
        else:
            found = re.search(_RESULT + rb"(?=" + _END + rb")", data)
        if found:
            return found.span()
        if not final:
            return None
        found = re.search(_RESULT + rb"\Z", data)
        return found.span() if found else (len(data), len(data))

    def refined(self, ended: Ended, mark: bytes) -> Ended:
        """Return the result: the log tells all of it, unless the test has written there itself."""
        if ended.action == "pass" and mark.startswith(b"FAILED"):
            return Ended("fail")
        return ended

    def outside(self, data: bytes, *, first: bool) -> bytes:
        """Return output between tests without the number of tests and the summary."""
        if first:
            if self._after_cargo:
                return _BEFORE.sub(b"", data)
            return re.sub(rb"\A\n?running \d+ tests?\n", b"", data.replace(_NOTICE, b"", 1))
        return _SUMMARY.sub(b"", data)
