"""One process that runs tests in a known order: its results and its output, in step.

Guarantees
  A result counts only if it came beside the output, in the order of the tests: what a test prints
  can at most give its output to another test.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from envy.testing.drivers.projects.names import test_name
from envy.testing.drivers.projects.report import SuiteReport

_MOST_HELD = 1 << 20  # bytes of output in which the end of a test is looked for
_KEPT_HELD = 1 << 16
_numbers = itertools.count()
_LONGEST_NAMES = 100_000  # bytes: Linux takes 128 KiB as one argument


@dataclass(frozen=True, slots=True)
class Ended:
    """The result of one test: `pass`, `fail` or `skip`, and what its runner says of it."""

    action: str
    reason: str = ""
    message: str = ""  # is shown with its output


class Framing(Protocol):
    """What a runner prints around the output of a test."""

    def start_of(self, name: str, data: bytes, *, final: bool) -> tuple[int, int] | None:
        """Return where the mark before a test's output begins and ends; None if it is not there."""

    def end_of(self, name: str, after: str, data: bytes, *, final: bool) -> tuple[int, int] | None:
        """Return where the mark after a test's output begins and ends.

        `after` is the name of the next test; "" if there is none. With `final`, no more comes.
        """

    def refined(self, ended: Ended, mark: bytes) -> Ended:
        """Return a result with what the mark after its test tells beside it."""

    def outside(self, data: bytes, *, first: bool) -> bytes:
        """Return output before the first test, or after the others, without what is framing."""


class ResultFile:
    """The file to which one process writes its results; `take` reads them."""

    def __init__(self, folder: Path, take: Callable[[bytes], Sequence[Ended]]) -> None:
        self.path = folder / f"results-{next(_numbers)}"
        self._take = take
        self._descriptor = os.open(self.path, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def read(self) -> list[Ended]:
        """Return the results since the last call."""
        found: list[Ended] = []
        while chunk := os.read(self._descriptor, 1 << 16):
            found += self._take(chunk)
        return found

    def close(self) -> None:
        """Remove the file."""
        os.close(self._descriptor)
        self.path.unlink(missing_ok=True)


def in_groups(names: Sequence[str]) -> Iterator[list[str]]:
    """Yield names in groups that can be arguments of one process."""
    group: list[str] = []
    size = 0
    for name in names:
        size += len(name.encode()) + 1
        if group and size > _LONGEST_NAMES:
            yield group
            group, size = [], len(name.encode())
        group.append(name)
    if group:
        yield group


class SerialProcess:
    """The tests of one process; `read` returns the results that it has told since the last call."""

    def __init__(
        self,
        report: SuiteReport,
        names: Sequence[str],
        *,
        framing: Framing,
        read: Callable[[], Sequence[Ended]],
        shown: Callable[[str], str] = test_name,
    ) -> None:
        self.names = names
        self.ended: list[Ended] = []
        self._report = report
        self._framing = framing
        self._read = read
        self._name = shown
        self._rest = b""
        self._begun = 0  # tests whose start was reported
        self._shown = 0  # tests whose end was reported

    def feed(self, chunk: bytes) -> None:
        """Take output of the process."""
        self._rest += chunk
        # What the process has told by now it has told before it printed any later mark.
        self.drain()
        self._advance(final=False)

    def drain(self) -> None:
        """Take what the process has told."""
        told = self._read()
        self.ended += told[: len(self.names) - len(self.ended)]

    def finish(self) -> None:
        """Report what is left after the end of the process, apart from a test without a result.

        That is the one that runs: the next one, if the process has told the results of others.
        """
        self.drain()
        self._advance(final=True)
        while self._shown < len(self.ended):
            if self._begun == self._shown:
                self._begin()
            self._show_end()
        if self._begun == self._shown:
            self._put("", self._framing.outside(self._rest, first=self._begun == 0))
            self._rest = b""
            if 0 < self._begun < len(self.names):
                self._begin()

    def _advance(self, *, final: bool) -> None:
        moved = True
        while self._rest and moved:
            if self._begun > self._shown:
                moved = self._in_test(final=final)
            else:
                moved = self._between(final=final)

    def _between(self, *, final: bool) -> bool:
        """Look for the start of the next test; return whether it was found."""
        if self._begun == len(self.names):
            return False
        found = self._framing.start_of(self.names[self._begun], self._rest, final=final)
        if found is None:
            self._let_go("")
            return False
        self._put("", self._framing.outside(self._rest[: found[0]], first=self._begun == 0))
        self._rest = self._rest[found[1] :]
        self._begin()
        return True

    def _in_test(self, *, final: bool) -> bool:
        """Take output of the running test; return whether it ended."""
        at = self._shown
        name = self.names[at]
        if len(self.ended) <= at:
            self._put(name, self._rest)
            self._rest = b""
            return False
        after = self.names[at + 1] if at + 1 < len(self.names) else ""
        found = self._framing.end_of(name, after, self._rest, final=final)
        if found is None:
            self._let_go(name)
            return False
        self._put(name, self._rest[: found[0]])
        mark = self._rest[found[0] : found[1]]
        self.ended[at] = self._framing.refined(self.ended[at], mark)
        self._rest = self._rest[found[1] :]
        self._show_end()
        return True

    def _let_go(self, name: str) -> None:
        if len(self._rest) > _MOST_HELD:
            self._put(name, self._rest[:-_KEPT_HELD])
            self._rest = self._rest[-_KEPT_HELD:]

    def _put(self, name: str, data: bytes) -> None:
        if data:
            self._report.output(self._name(name) if name else "", data)

    def _begin(self) -> None:
        self._begun += 1
        self._report.begin(self._name(self.names[self._begun - 1]))

    def _show_end(self) -> None:
        name, ended = self._name(self.names[self._shown]), self.ended[self._shown]
        self._shown += 1
        if ended.message:
            self._report.output(name, f"{ended.message}\n")
        self._report.end(name, ended.action, reason=ended.reason)
