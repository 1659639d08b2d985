"""Showing a saved run, with the views that show a live run."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

from envy.testing.events import StreamEvent
from envy.testing.package import PackageRun, PackageVerdict, TestPackage
from envy.testing.results import Recorder
from envy.testing.session_result import SessionResult, View


def replay(
    events: Iterable[StreamEvent], views: Sequence[View], *, started: float | None = None
) -> SessionResult:
    """Pass saved events to the views, and return the result of the run.

    The run took as long as its events say, or since `started`, by time.monotonic.
    """
    recorder = Recorder()
    first = last = 0.0
    for event in events:
        first = first or event.time
        last = event.time or last
        recorder.on_event(event)
        for view in views:
            view.on_event(event)
    seconds = last - first if started is None else time.monotonic() - started
    result = SessionResult(recorder=recorder, seconds=seconds, runs=runs_of(recorder))
    if result.not_run:
        result.stopped = "the saved run ends before all packages have ended"
    for view in views:
        view.on_end(result)
    return result


def runs_of(recorder: Recorder) -> list[PackageRun]:
    """Return the packages of a recorded run, with the verdicts that follow from its events."""
    from pathlib import Path

    runs = []
    for tally in recorder.packages.values():
        package = TestPackage(name=tally.name, directory=Path(), driver="")
        verdict = {
            "pass": PackageVerdict.PASSED,
            "skip": PackageVerdict.NO_TESTS,
            "fail": PackageVerdict.FAILED,
        }.get(tally.outcome, PackageVerdict.NOT_RUN)
        if tally.failed_build:
            verdict = PackageVerdict.BUILD_FAILED
        runs.append(PackageRun(package=package, verdict=verdict, failed_build=tally.failed_build))
    return runs
