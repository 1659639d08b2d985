"""How a command shares its jobs with the tools in scripts, and with a make that started it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from envy.events import EventBus
from envy.jobserver.budget import Jobserver

if TYPE_CHECKING:
    from envy.jobserver.tokens import TokenPipe


def make_jobserver(
    bus: EventBus, *, jobs: int, folder: Path, name: str, outer: TokenPipe | None
) -> Jobserver:
    """The jobserver of a command; the pipe is made when the first script starts."""

    def warn(message: str) -> None:
        bus.log("warn", message)

    return Jobserver(jobs=jobs, folder=folder, name=name, outer=outer, warn=warn)


def take_outer_jobserver(surroundings: dict[str, str], *, wanted: bool) -> TokenPipe | None:
    """That of a make that started envy, to take part in; MAKEFLAGS loses what it says of it.

    Scripts are told by envy which jobserver is theirs; and a FIFO or numbers of descriptors that
    another run will not have must not be part of any key.
    """
    makeflags = surroundings.get("MAKEFLAGS")
    if not makeflags:
        return None
    from envy.jobserver.makeflags import jobserver_in, without_jobserver
    from envy.jobserver.tokens import join_pipe

    named = jobserver_in(makeflags)
    kept = without_jobserver(makeflags)
    if kept:
        surroundings["MAKEFLAGS"] = kept
    else:
        del surroundings["MAKEFLAGS"]
    return join_pipe(named) if named is not None and wanted else None
