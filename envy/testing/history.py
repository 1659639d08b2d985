"""How long each test of a project took in its last runs, and how these ended.

There is a small file for each package, below `history` of the cache's tests. A run adds what it
ran: a remembered result adds nothing, and neither does a test that did not end.

Guarantees
  A file exists as a whole, or not at all. If two runs of a package end at the same time, what one
  of them adds may be lost.
  A file that is missing or damaged, and a folder that cannot be written, never fail a run.
  The runs of a test, the tests of a package and the length of a file are bounded.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from blake3 import blake3

from envy.content.atomic import atomic_write
from envy.content.json_text import parse_json
from envy.content.plain_file import read_plain
from envy.limits import TEST_RESULT
from envy.testing.results import PackageTally, Recorder

FORMAT = "envy-history-1"
RUNS_KEPT = 20  # of each test
TESTS_KEPT = 50_000  # of a package, those that ran last
_DIGITS = 32
_LONGEST = 1e7  # seconds; more is damage, not a duration
_LATEST = 1e11  # the same for a moment
_LETTERS = {"pass": "p", "fail": "f", "skip": "s"}
_FLAKY = "y"  # it passed when it was run again

# A test is slower if its last runs took this much longer than those before, in seconds and in all.
_LAST = 3
_FEWEST = 4  # passes, of which half are compared with the others
_TIMES_LONGER, _SECONDS_LONGER = 1.5, 0.1


@dataclass(frozen=True, slots=True)
class TestHistory:
    """The last runs of one test, the oldest first: how each ended, and how long it took."""

    package: str
    test: str
    outcomes: str  # p, f, s, or y for a pass in a retry
    seconds: tuple[float, ...]
    last_run: float  # seconds since 1970

    __test__ = False

    @property
    def passes(self) -> list[float]:
        """The durations of the runs that passed."""
        rows = zip(self.outcomes, self.seconds, strict=True)
        return [seconds for letter, seconds in rows if letter in {"p", _FLAKY}]

    @property
    def usual(self) -> float | None:
        """The median of the runs that passed; None if none has."""
        return median(self.passes) if _FLAKY in self.outcomes or "p" in self.outcomes else None

    @property
    def change(self) -> tuple[float, float] | None:
        """The median of earlier passes and that of the last ones; None if there are too few."""
        passes = self.passes
        if len(passes) < _FEWEST:
            return None
        last = min(_LAST, len(passes) // 2)
        return median(passes[:-last]), median(passes[-last:])

    @property
    def is_slower(self) -> bool:
        """Whether it has become clearly slower."""
        if self.change is None:
            return False
        before, now = self.change
        return now >= before * _TIMES_LONGER and now - before >= _SECONDS_LONGER

    def count(self, outcome: str) -> int:
        """Return how many runs ended with `pass`, `fail`, `skip` or `flaky`."""
        return self.outcomes.count(_LETTERS.get(outcome, _FLAKY))


class History:
    """The histories of the packages of one project."""

    def __init__(self, folder: Path, project: Path) -> None:
        self._folder = folder
        self._prefix = _digest(str(project))

    def learn(self, recorder: Recorder, *, now: float) -> None:
        """Add the tests that a run has run."""
        for tally in recorder.packages.values():
            if not tally.cached and any(_is_top(name) for name in tally.tests):
                with contextlib.suppress(OSError, ValueError):
                    self._add(tally, now)

    def of_package(self, package: str) -> dict[str, TestHistory]:
        """Return the histories of the tests of a package."""
        return dict(_rows(self._path(package), package))

    def all(self) -> list[TestHistory]:
        """Return the histories of all tests, by package and test."""
        try:
            names = [path.name for path in self._folder.iterdir()]
        except OSError:
            return []
        found = [
            history
            for name in names
            if name.startswith(self._prefix) and name.endswith(".json")
            for _, history in _rows(self._folder / name)
        ]
        return sorted(found, key=lambda one: (one.package, one.test))

    def _path(self, package: str) -> Path:
        return self._folder / f"{self._prefix}{_digest(package)}.json"

    def _add(self, tally: PackageTally, now: float) -> None:
        path = self._path(tally.name)
        found = dict(_rows(path, tally.name))
        for test, outcome in tally.tests.items():
            letter = _FLAKY if test in tally.flaky else _LETTERS.get(outcome)
            if letter is None or not _is_top(test):
                continue
            before = found.pop(test, None)  # to the end: what ran last is kept
            seconds = round(min(max(tally.elapsed.get(test, 0.0), 0.0), _LONGEST), 3)
            found[test] = TestHistory(
                tally.name,
                test,
                ((before.outcomes if before else "") + letter)[-RUNS_KEPT:],
                (*(before.seconds if before else ()), seconds)[-RUNS_KEPT:],
                now,
            )
        rows = list(found.values())[-TESTS_KEPT:]
        document = {
            "format": FORMAT,
            "package": tally.name,
            "tests": [[row.test, row.outcomes, row.seconds, row.last_run] for row in rows],
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(str(path), json.dumps(document, separators=(",", ":")).encode("ascii"))


def _digest(text: str) -> str:
    return blake3(text.encode("utf-8", "surrogateescape")).hexdigest()[:_DIGITS]


def _is_top(test: str) -> bool:
    return "/" not in test


def _rows(path: Path, package: str = "") -> Iterator[tuple[str, TestHistory]]:
    """Yield the rows of a file that are valid; of a certain package, if one is given."""
    try:
        top = parse_json(read_plain(str(path), TEST_RESULT))
        if top["format"] != FORMAT or not isinstance(top["package"], str):
            return
        if package and top["package"] != package:
            return
        rows: Iterable[Any] = top["tests"]
        for row in rows:
            if _is_row(row):
                test, outcomes, seconds, last_run = row
                yield test, TestHistory(top["package"], test, outcomes, tuple(seconds), last_run)
    except (OSError, ValueError, KeyError, TypeError):
        return


def _is_row(row: object) -> bool:
    match row:
        case [str(), str() as outcomes, list() as seconds, int() | float() as last_run]:
            return (
                0 <= last_run < _LATEST
                and 0 < len(outcomes) == len(seconds) <= RUNS_KEPT
                and set(outcomes) <= {*_LETTERS.values(), _FLAKY}
                and all(type(one) in {int, float} and 0 <= one <= _LONGEST for one in seconds)
            )
    return False
