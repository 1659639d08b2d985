"""One process of a test executable: what it tells becomes the events of its tests."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Protocol

from envy.testing.drivers.native.channel import Channel, LineLimiter, OutputSplitter, TestEnd
from envy.testing.package import RunSettings

SKIPPED = 77  # the exit code of a skipped test, as with automake


class ProcessOwner(Protocol):
    """The runner of a package, as its processes use it."""

    names: Sequence[str]
    settings: RunSettings
    ends_at: float | None

    def timeout_of(self, test: str) -> float:
        """Return the time limit of a test, and of "", that between tests; 0: none."""

    def emit(
        self,
        action: str,
        *,
        test: str = "",
        output: str | None = None,
        output_type: str = "",
        elapsed: float | None = None,
        attempt: int = 0,
        reason: str = "",
    ) -> None:
        """Emit an event of the package."""

    def end(self, test: str, action: str, seconds: float, *, attempt: int, reason: str) -> None:
        """Emit the end of a test, and count it."""


class NativeProcess:
    """One process: its events, and the test that it is running."""

    def __init__(self, owner: ProcessOwner, attempt: int, nonce: str = "") -> None:
        """`nonce` is that of a process of another machine."""
        self.channel = Channel(nonce=nonce) if nonce else Channel()
        self.current: int | None = None
        self.begun = time.monotonic()
        self.last_change = self.begun
        self._begun: set[int] = set()
        self._reported: set[int] = set()
        self._owner = owner
        self._attempt = attempt
        self._limiter = self._new_limiter("")
        self.splitter = OutputSplitter(
            self.channel.nonce, on_output=self._on_output, on_mark=self._on_mark
        )

    def feed(self, _stream: str, chunk: bytes) -> None:
        self.channel.drain()
        self.splitter.feed(chunk)

    def deadline(self) -> float | None:
        """Return when the running test, or the process without one, is to be ended."""
        self.channel.drain()
        moments = [self._owner.ends_at] if self._owner.ends_at is not None else []
        running = self.running()
        limit = self._owner.timeout_of("" if running is None else self._owner.names[running])
        if limit > 0:
            moments.append(self.last_change + limit)
        return min(moments, default=None)

    def finish(self) -> None:
        """Report what came without a mark."""
        self.channel.drain()
        self.splitter.finish()
        for index in list(self.channel.ended):
            if index < len(self._owner.names) and index not in self._reported:
                self.begin(index)
                self._end(index)

    def begin(self, index: int) -> None:
        """Report that a test has started, unless that was reported."""
        if index in self._begun:
            return
        self._begun.add(index)
        self._limiter.finish()
        name = self._owner.names[index]
        self._limiter = self._new_limiter(name)
        self.current = index
        self._owner.emit("run", test=name, attempt=self._attempt)

    def fail(self, index: int, reason: str) -> None:
        """Fail the test during which the process ended."""
        self._reported.add(index)
        self._close_output()
        name = self._owner.names[index]
        seconds = time.monotonic() - self.channel.started.get(index, self.begun)
        self._owner.emit(
            "output", test=name, output=f"--- FAIL: {name} ({reason})\n", output_type="frame"
        )
        self._owner.end(name, "fail", seconds, attempt=self._attempt, reason=reason)

    def end_with(self, index: int, code: int) -> None:
        """Report the result of a test that only its exit code tells."""
        self.channel.ended[index] = TestEnd(code, time.monotonic() - self.begun)
        self._end(index)

    def running(self) -> int | None:
        """Return the test that has started and not ended."""
        for index in self.channel.started:
            if index not in self.channel.ended:
                return index
        return None

    def _on_mark(self, kind: str, index: int) -> None:
        self.channel.drain()
        self.last_change = time.monotonic()
        if not 0 <= index < len(self._owner.names):
            return
        if kind == "S":
            self.begin(index)
        elif index in self.channel.ended and index in self._begun - self._reported:
            self._end(index)

    def _end(self, index: int) -> None:
        self._reported.add(index)
        self._close_output()
        end = self.channel.ended[index]
        action = {0: "pass", SKIPPED: "skip"}.get(end.code, "fail")
        reason = f"returned {end.code}" if action == "fail" and end.code != 1 else ""
        name = self._owner.names[index]
        self._owner.end(name, action, end.seconds, attempt=self._attempt, reason=reason)

    def _close_output(self) -> None:
        self._limiter.finish()
        self._limiter = self._new_limiter("")
        self.current = None

    def _on_output(self, data: bytes) -> None:
        self._limiter.feed(data)

    def _new_limiter(self, test: str) -> LineLimiter:
        return LineLimiter(lambda text: self._owner.emit("output", test=test, output=text))
