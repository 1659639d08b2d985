"""What the tests of one package do in one pass, told by a kind and made into events.

Guarantees
  Each test that begins ends once, also if its process does not tell how.
  Output belongs to the test that a kind names, else to the only one that runs, else to the package.
"""

from __future__ import annotations

import time
from collections.abc import Collection

from envy.testing.drivers.native.channel import LineLimiter
from envy.testing.package import Emit
from envy.testing.package_events import PackageEvents

ENDS = frozenset({"pass", "fail", "skip"})


class SuiteReport(PackageEvents):
    """The tests of a package. `expected` are those that were asked for; empty: any."""

    def __init__(
        self, package: str, emit: Emit, *, driver: str = "",
        expected: Collection[str] = (), attempt: int = 0,
    ) -> None:  # fmt: skip
        super().__init__(emit, package, driver, attempt=attempt)
        self.running: dict[str, float] = {}  # since when, by time.monotonic
        self.ended: dict[str, str] = {}
        self.unexpected: dict[str, None] = {}
        self.last_change = time.monotonic()
        self.expected = frozenset(expected)
        self._limiters: dict[str, LineLimiter] = {}
        self._numbers: dict[str, int] = {}

    @property
    def failed(self) -> list[str]:
        """The top-level tests that failed, in the order of their ends."""
        found = [name.partition("/")[0] for name, end in self.ended.items() if end == "fail"]
        return list(dict.fromkeys(found))

    def unique(self, test: str) -> str:
        """Return the name for another test of the same name: `name#01`, as Go has it."""
        if test not in self.ended and test not in self.running:
            return test
        number = self._numbers.get(test, 0)
        while True:
            number += 1
            name = f"{test}#{number:02}"
            if name not in self.ended and name not in self.running:
                self._numbers[test] = number
                return name

    def begin(self, test: str) -> None:
        """Take the start of a test; of one that is running or over, nothing."""
        if test in self.running or test in self.ended:
            return
        self.last_change = time.monotonic()
        self.running[test] = self.last_change
        if self.expected and test.partition("/")[0] not in self.expected:
            self.unexpected[test.partition("/")[0]] = None
        self.emit("run", test=test)

    def output(self, test: str, text: str | bytes) -> None:
        """Take output of a test; "" is the package."""
        data = _bytes_of(text) if isinstance(text, str) else text
        if not data:
            return
        limiter = self._limiters.get(test)
        if limiter is None:
            limiter = LineLimiter(lambda line: self.emit("output", test=test, output=line))
            self._limiters[test] = limiter
        limiter.feed(data)

    def stray(self, data: bytes) -> None:
        """Take output of the process that no test is named for."""
        tops = [name for name in self.running if "/" not in name]
        self.output(tops[0] if len(tops) == 1 else "", data)

    def end(
        self, test: str, outcome: str, *, seconds: float | None = None, reason: str = ""
    ) -> None:
        """Take the end of a test: pass, fail or skip; a second end counts only if it fails."""
        assert outcome in ENDS
        if test in self.ended:
            if outcome == "fail" and self.ended[test] != "fail":
                self._finish(test, outcome, seconds, reason)
            return
        self.begin(test)
        self._finish(test, outcome, seconds, reason)

    def _finish(self, test: str, outcome: str, seconds: float | None, reason: str) -> None:
        now = time.monotonic()
        begun = self.running.pop(test, now)
        self.last_change = now
        self.ended[test] = outcome
        self.close_output(test)
        took = now - begun if seconds is None else seconds
        self.emit(outcome, test=test, elapsed=round(max(took, 0.0), 4), reason=reason)

    def fail_running(self, test: str, reason: str) -> None:
        """Fail a test during which its process ended."""
        self.close_output(test)
        self.emit("output", test=test, output=f"--- FAIL: {test} ({reason})\n", output_type="frame")
        self.end(test, "fail", reason=reason)

    def close_output(self, test: str) -> None:
        """Pass on what is left of the output of a test."""
        limiter = self._limiters.pop(test, None)
        if limiter is not None:
            limiter.finish()

    def close(self) -> None:
        """Pass on what is left of all output."""
        for test in list(self._limiters):
            self.close_output(test)

    def say(self, text: str, *, test: str = "") -> None:
        """Emit lines of envy itself, after all output so far."""
        self.close_output(test)
        for line in text.splitlines():
            self.emit("output", test=test, output=f"envy: {line}\n")


def _bytes_of(text: str) -> bytes:
    """Return a text as bytes, with ? for half characters, which programs may put into messages."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace")
