"""The jobserver of a command, shared with tools in scripts and with a make that started envy."""

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
    """Return the jobserver of a command; its pipe is created when the first script starts."""

    def warn(message: str) -> None:
        bus.log("warn", message)

    return Jobserver(jobs=jobs, folder=folder, name=name, outer=outer, warn=warn)


def take_outer_jobserver(variables: dict[str, str], *, wanted: bool) -> TokenPipe | None:
    """Join the jobserver of the make that started envy, and remove it from MAKEFLAGS.

    envy tells scripts which jobserver to use. The name of a FIFO or the numbers of descriptors
    differ in the next run, so they must not be part of any key.
    """
    makeflags = variables.get("MAKEFLAGS")
    if not makeflags:
        return None
    from envy.jobserver.makeflags import jobserver_in, without_jobserver
    from envy.jobserver.tokens import join_pipe

    named = jobserver_in(makeflags)
    kept = without_jobserver(makeflags)
    if kept:
        variables["MAKEFLAGS"] = kept
    else:
        del variables["MAKEFLAGS"]
    return join_pipe(named) if named is not None and wanted else None
