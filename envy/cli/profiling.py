"""`--profile`: observe a run and, after its result, print how its time was spent."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator

from envy.cli.settings import Settings
from envy.cli.wiring import DEFAULT_FETCH_JOBS
from envy.console.profile import Profiler
from envy.console.profile_text import profile_lines
from envy.console.text import say
from envy.host.platform import available_cores


@contextlib.contextmanager
def profiled(settings: Settings, started: float) -> Iterator[Profiler]:
    """Yield a listener for the run, then print its profile, even if the run failed.

    `started` is monotonic time.
    """
    profiler = Profiler(started)
    slots = {
        "work": settings.jobs or available_cores(),
        "transfer": settings.fetch_jobs or DEFAULT_FETCH_JOBS,
    }
    try:
        yield profiler
    except Exception:
        found = profiler.profile(slots)
        if found.phases:  # if no phase ran, the error is all there is to report
            _print(profile_lines(found))
        raise
    _print(profile_lines(profiler.profile(slots)))


def _print(lines: list[str]) -> None:
    for line in lines:
        say(sys.stderr, line)
