"""How a process with tests of Go ended, and which tests ended it."""

from __future__ import annotations

from dataclasses import dataclass

from envy.host.process import Completed
from envy.testing.drivers.go_output import OutputConverter
from envy.testing.drivers.go_tally import signal_name


@dataclass(frozen=True, slots=True)
class ProcessResult:
    """The result of one process."""

    completed: Completed
    converter: OutputConverter
    limited: frozenset[str]  # tests that exceeded their time limit


def reason_of(process: ProcessResult, *, is_total: bool) -> str:
    """Return why a process failed; `is_total` says that the whole run has a time limit."""
    if process.completed.timed_out:
        return "timeout" if process.limited or not is_total else "total-timeout"
    if process.completed.signal is not None:
        return f"signal {signal_name(process.completed.signal)}"
    if process.completed.exit_code == 2:
        return "panic"
    return f"exit {process.completed.exit_code}"


def culprits(process: ProcessResult) -> frozenset[str]:
    """Return the open tests that caused the end of a process."""
    progress = process.converter.progress
    if process.completed.timed_out and process.limited:
        return frozenset(
            name for name in progress.open if name.partition("/")[0] in process.limited
        )
    if progress.died_in:  # a panic, which the testing package has just reported as a failure
        return frozenset(
            name for name in progress.open if name.partition("/")[0] == progress.died_in
        )
    tops = {name.partition("/")[0] for name in progress.active}
    return frozenset(name for name in progress.open if name.partition("/")[0] in tops)
