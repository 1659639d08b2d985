"""Running the tests of one file, in their order, and reporting them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from envy.host.children import Children
from envy.testing.drivers.recipe.one_test import TIMEOUT, OneTest, RecipeTestEnd
from envy.testing.durations import go_duration
from envy.testing.package import Emit, PackageVerdict, RunSettings
from envy.testing.package_events import PackageEvents

_MOST_OUTPUT = 8 << 20  # characters of one test


class RecipeRunner:
    """Runs the tests of one file, once."""

    def __init__(
        self, name: str, path: Path, emit: Emit, settings: RunSettings, *,
        environment: Mapping[str, str], children: Children, count: int, ends_at: float | None,
        count_failed: Callable[[], int],
    ) -> None:  # fmt: skip
        self._name = name
        self._path = path
        self._emit = PackageEvents(emit, name, "recipe").emit
        self._settings = settings
        self._environment = environment
        self._children = children
        self._count = count
        self._ends_at = ends_at
        self._count_failed = count_failed
        self._failed: dict[str, None] = {}
        self._reason = ""
        self._written = 0
        self.unkept = ""  # why the result proves nothing about another run
        self.read: set[str] = set()  # files and folders that the results rest on
        self.trees: set[str] = set()  # folders with all that is in them

    def run(self, names: Sequence[str]) -> PackageVerdict:
        """Run these tests."""
        started = time.monotonic()
        self._emit("start")
        for _ in range(self._count):
            for name in names:
                if not self._must_stop():
                    self._one(name)
        self._retry()
        passed = not (self._failed or self._reason)
        seconds = round(time.monotonic() - started, 3)
        note = "" if names else " [no tests to run]"
        word = "ok  " if passed else "FAIL"
        line = f"{word}\t{self._name}\t{seconds:.3f}s{note if passed else ''}\n"
        self._emit("output", output=line, output_type="frame")
        self._emit("pass" if passed else "fail", elapsed=seconds, reason=self._reason)
        return PackageVerdict.PASSED if passed else PackageVerdict.FAILED

    def _must_stop(self) -> bool:
        if self._reason:
            return True
        if self._children.stopping:
            self._reason = "cancelled"
        elif self._ends_at is not None and time.monotonic() >= self._ends_at:
            self._reason = "total-timeout"
        elif self._settings.fail_fast and self._failed:
            return True
        most = self._settings.max_failures
        # The session does not see the events of a package whose turn has not come.
        too_many = most and max(self._count_failed(), len(self._failed)) >= most
        return bool(self._reason or too_many)

    def _retry(self) -> None:
        for attempt in self._settings.attempts:
            for name in list(self._failed):
                if self._settings.retries_of(self._name, name) < attempt - 1:
                    continue
                if self._children.stopping or self._reason:
                    return
                del self._failed[name]
                self.unkept = "it needed another attempt"
                self._one(name, attempt=attempt)
                if name in self._failed:
                    continue
                self._say(f"envy: {name} is flaky: it passed in attempt {attempt}")
                if self._settings.flaky_fails:
                    self._failed[name] = None

    def _one(self, name: str, *, attempt: int = 0) -> None:
        self._written = 0
        self._emit("run", test=name, attempt=attempt)
        test = OneTest(self._path, name, self._environment, lambda text: self._say(text, test=name))
        end = test.run(self._limit(name), self._children)
        self.read |= end.read
        self.trees |= end.trees
        self._explain(end, name)
        if end.action == "fail":
            self._failed[name] = None
            why = f" ({end.reason})" if end.reason else ""
            seconds = f" ({end.seconds:.2f}s)"
            line = f"--- FAIL: {name}{why or seconds}\n"
            self._emit("output", test=name, output=line, output_type="frame")
        if end.stopped:
            self._reason = "cancelled"
        self._emit(
            end.action, test=name, elapsed=round(end.seconds, 4), attempt=attempt, reason=end.reason
        )

    def _limit(self, name: str) -> float | None:
        own = self._settings.timeout_of(self._name, name)
        limits = [own] if own > 0 else []
        if self._ends_at is not None:
            limits.append(max(0.0, self._ends_at - time.monotonic()))
        return min(limits, default=None)

    def _explain(self, end: RecipeTestEnd, name: str) -> None:
        if end.reason == TIMEOUT:
            if self._ends_at is not None and time.monotonic() >= self._ends_at:
                end.reason = self._reason = "total-timeout"
                self._say("terminated, because the run took too long", test=name)
            else:
                limit = go_duration(self._settings.timeout_of(self._name, name))
                self._say(f"terminated, because {name} ran longer than {limit}", test=name)
        if end.text:
            self._say(end.text, test=name)

    def _say(self, text: str, *, test: str = "") -> None:
        # What is not UTF-8 reaches Python as surrogates, which no file of events can have.
        text = text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        for line in text.splitlines() or [""]:
            if self._written > _MOST_OUTPUT:
                return
            self._written += len(line)
            if self._written > _MOST_OUTPUT:
                line = "envy: the test printed too much; the rest is left out"  # noqa: PLW2901
            self._emit("output", test=test, output=f"{line}\n")
