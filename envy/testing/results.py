"""The results of a run, computed from its events alone, and the record kept for the next run.

Guarantees
  The record is replaced by a rename at the end of a run: a run that is killed leaves the previous
  record intact.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from blake3 import blake3

from envy.content.atomic import atomic_write
from envy.content.json_text import parse_json
from envy.content.plain_file import read_plain
from envy.limits import CACHE_FILE
from envy.testing.events import ENDINGS, DamagedRun, StreamEvent, parse_event


@dataclass(slots=True)
class PackageTally:
    """The results of one package: its outcome, and the last outcome of each of its tests."""

    name: str
    tests: dict[str, str] = field(default_factory=dict)
    elapsed: dict[str, float] = field(default_factory=dict)
    begun: dict[str, None] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)  # by test, with a reason if known
    flaky: dict[str, None] = field(default_factory=dict)
    outcome: str = ""
    reason: str = ""
    seconds: float = 0.0
    failed_build: str = ""
    coverage: str = ""
    leaks: bool = False
    cached: bool = False  # a remembered result
    remote: bool = False  # that of another machine

    def top_level(self, outcome: str) -> list[str]:
        """Return the top-level tests with this outcome."""
        return [name for name, ended in self.tests.items() if ended == outcome and "/" not in name]


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """The numbers of a summary. Subtests count as tests."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0
    packages: int = 0
    failed_packages: int = 0
    unbuilt: int = 0
    flaky: int = 0
    cached: int = 0  # packages
    remote: int = 0  # of the cached packages


class Recorder:
    """Collects the results of a run from its events, in their order."""

    def __init__(self) -> None:
        self.packages: dict[str, PackageTally] = {}
        self.build_output: dict[str, list[str]] = {}  # by import path
        self.left_out: dict[str, str] = {}  # packages that --changed does not run, each with why

    def on_event(self, event: StreamEvent) -> None:
        """Record one event."""
        if not event.package:
            if event.action == "build-output":
                self.build_output.setdefault(event.import_path, []).append(event.output or "")
            return
        if event.is_left_out:
            self.left_out[event.package] = event.reason
            return
        tally = self.packages.get(event.package)
        if tally is None:
            tally = self.packages[event.package] = PackageTally(event.package)
        if event.action == "output":
            _note_output(tally, event)
        elif event.test:
            _note_test(tally, event)
        elif event.action in ENDINGS:
            tally.outcome = event.action
            tally.seconds = event.elapsed or 0.0
            tally.reason = event.reason
            tally.cached = event.cached and event.action == "pass"
            tally.remote = tally.cached and event.remote
            tally.failed_build = event.failed_build

    def counts(self) -> Counts:
        """Return the numbers so far."""
        tallies = self.packages.values()
        ended = [outcome for tally in tallies for outcome in tally.tests.values()]
        return Counts(
            passed=ended.count("pass"),
            failed=ended.count("fail"),
            skipped=ended.count("skip"),
            packages=len(self.packages),
            failed_packages=sum(t.outcome == "fail" and not t.failed_build for t in tallies),
            unbuilt=sum(bool(t.failed_build) for t in tallies),
            flaky=sum(len(t.flaky) for t in tallies),
            cached=sum(t.cached for t in tallies),
            remote=sum(t.remote for t in tallies),
        )

    def slowest(self, count: int) -> list[tuple[float, str, str]]:
        """Return the slowest top-level tests as (seconds, package, test)."""
        rows = [
            (seconds, tally.name, test)
            for tally in self.packages.values()
            for test, seconds in tally.elapsed.items()
            if "/" not in test
        ]
        return sorted(rows, key=lambda row: (-row[0], row[1], row[2]))[:count]


def _note_output(tally: PackageTally, event: StreamEvent) -> None:
    if not event.test and event.output and event.output.startswith("coverage: "):
        tally.coverage = event.output.removeprefix("coverage: ").strip()
    if event.reason == "leak":
        tally.leaks = True


def _note_test(tally: PackageTally, event: StreamEvent) -> None:
    if event.action == "run":
        tally.begun[event.test] = None
        return
    if event.action not in ENDINGS:
        return
    before = tally.tests.get(event.test)
    if event.attempt > 1 and before == "fail" and event.action == "pass":
        tally.flaky[event.test] = None
    # With -count, one failure among several runs is a failure; a retry replaces it.
    if before == "fail" and event.action != "fail" and event.attempt <= 1:
        return
    tally.tests[event.test] = event.action
    if event.elapsed is not None:
        tally.elapsed[event.test] = max(event.elapsed, tally.elapsed.get(event.test, 0.0))
    if event.action == "fail":
        tally.failures[event.test] = event.reason
    else:
        tally.failures.pop(event.test, None)


# -- the last run --------------------------------------------------------------------------------


class LastRun:
    """The record of the tests that failed when a project was last tested."""

    def __init__(self, folder: Path, project: Path) -> None:
        name = blake3(os.fsencode(project)).hexdigest()[:32]
        self.path = folder / f"{name}.json"

    def failed(self) -> dict[str, tuple[str, ...]] | None:
        """Return the failed tests by package; () means the whole package.

        None if there is no record, or it cannot be read.
        """
        try:
            row = parse_json(read_plain(str(self.path), CACHE_FILE))
            return {
                str(package): tuple(str(test) for test in tests)
                for package, tests in row["failed"].items()
            }
        except (OSError, ValueError, KeyError, AttributeError, TypeError):
            return None

    def save(
        self,
        recorder: Recorder,
        *,
        present: Mapping[str, Collection[str] | None] | None = None,
        is_all: bool = False,
    ) -> None:
        """Update the record with a run; tests that did not run keep their previous state.

        `present` are the tests that a package has, None if they are not known; failures of others
        are forgotten. With `is_all`, there are no other packages.
        """
        present = present or {}
        failed = dict(self.failed() or {})
        for name in [name for name in failed if is_all and name not in present]:
            del failed[name]
        for name, tally in recorder.packages.items():
            if tally.outcome:
                remembered = _still_failed(tally, failed.pop(name, None), present.get(name))
                if remembered is not None:
                    failed[name] = remembered
        self.path.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(str(self.path), json.dumps({"failed": failed}, indent=1).encode("utf-8"))


def _still_failed(
    tally: PackageTally, before: tuple[str, ...] | None, present: Collection[str] | None
) -> tuple[str, ...] | None:
    failed = [] if tally.outcome == "pass" else tally.top_level("fail")
    if before:
        left = [name for name in before if name not in tally.tests]
        failed += [name for name in left if present is None or name in present]
    if failed:
        return tuple(sorted(set(failed)))
    return () if tally.outcome == "fail" else None


def read_run(path: Path) -> Iterator[StreamEvent]:
    """Yield the events of a saved run.

    Raises:
        DamagedRun: The file cannot be read, has no events, or a line is not a valid event.
    """
    found = False
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    found = True
                    yield parse_event(line, where=f"{path}:{number}")
    except OSError as error:
        raise DamagedRun(f"cannot read {path}: {error.strerror}") from error
    if not found:
        raise DamagedRun(f"{path} has no events", hint="was the run interrupted at its start?")
