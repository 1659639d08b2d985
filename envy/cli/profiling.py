"""`--profile`: a run is watched, and when it has been told how it ended, where its time went."""

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
    """Watch what is done within with the listener that is given; then print, however that ended.

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
        if found.phases:  # what kept the run from beginning says all there is to say
            _print(profile_lines(found))
        raise
    _print(profile_lines(profiler.profile(slots)))


def _print(lines: list[str]) -> None:
    for line in lines:
        say(sys.stderr, line)
