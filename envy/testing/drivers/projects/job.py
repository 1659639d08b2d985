"""What a kind is given to run some tests of a package."""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from envy.host.process import Completed, ProcessSpec
from envy.testing.drivers.go_tally import signal_name
from envy.testing.drivers.projects.channel import EventChannel
from envy.testing.drivers.projects.project import ProjectTests, Tools
from envy.testing.drivers.projects.report import SuiteReport


def failure_of(completed: Completed) -> str:
    """Return how a process has failed, as the reason of a test; "" if it has not."""
    if completed.signal is not None:
        return f"signal {signal_name(completed.signal)}"
    return f"exit {completed.exit_code}" if completed.exit_code else ""


def how_ended(completed: Completed) -> str:
    """Return how a process has ended, as the end of a sentence."""
    if completed.signal is not None:
        return f"by {signal_name(completed.signal)}"
    return f"with exit code {completed.exit_code}"


class JobOwner(Protocol):
    """The runner of a package, as its jobs use it."""

    reason: str

    def start(
        self, job: SuiteJob, spec: ProcessSpec, *,
        on_end: Callable[[], None], judges_exit: bool, ends_running: bool,
    ) -> Completed:  # fmt: skip
        """Run a process, and fail the tests that it leaves running."""

    def deadline_of(self, report: SuiteReport, *, tells_starts: bool) -> Callable[[], float | None]:
        """Return a function that returns when the process is to be ended."""

    def must_stop(self, report: SuiteReport) -> bool:
        """Return whether no other process may be started."""


@dataclass(slots=True, kw_only=True)
class SuiteJob:
    """Some tests of a package that a kind is to run, in one process or in several.

    `tests` are those to run; `is_whole` says that these are all of the package, or that they are
    not known.
    """

    name: str  # of the package
    package: ProjectTests
    tests: tuple[str, ...]
    is_whole: bool
    environment: Mapping[str, str]  # of the project
    tools: Tools
    report: SuiteReport
    owner: JobOwner
    crashed: bool = False  # a test ended its process
    run: str = ""  # patterns of tests and their subtests, for kinds that can select these
    skip: str = ""

    def start(
        self,
        argv: Sequence[str],
        *,
        cwd: Path | None = None,
        environment: Mapping[str, str] | None = None,
        channel: EventChannel | None = None,
        on_stdout: Callable[[bytes], None] | None = None,
        on_output: Callable[[bytes], None] | None = None,
        on_end: Callable[[], None] = lambda: None,
        ending_signal: signal.Signals = signal.SIGKILL,
        judges_exit: bool = True,
        ends_running: bool = True,
        tells_starts: bool = True,
    ) -> Completed:
        """Run a process, and fail the tests that it leaves running.

        The channel's events go to the function that it was made with. Output belongs to the test
        that runs; with `on_stdout`, standard output goes there instead, with `on_output` all of it.
        `on_end` is called before it is judged how the process ended. Unless `judges_exit` is
        False, a process that fails without a failed test fails the package. Without `ends_running`,
        tests that run when it ends are left to the caller, unless it took too long. The limit of a
        test begins with the test, or, without `tells_starts`, with the end of the one before.

        Raises:
            Cancelled: the command is ending.
        """
        return self.owner.start(
            self,
            ProcessSpec(
                argv=argv,
                command=f"{self.package.project.settings.kind} {' '.join(argv[1:3])}",
                cwd=cwd or self.package.directory,
                environment=(
                    {**self.environment, "PWD": str(cwd or self.package.directory)}
                    | dict(environment or {})
                    | (channel.variables if channel is not None else {})
                ),
                children=self.tools.children,
                label=self.name,
                on_output=self._sorted(channel, on_stdout or on_output),
                merged=on_stdout is None,
                moving_deadline=self.owner.deadline_of(self.report, tells_starts=tells_starts),
                ending_signal=ending_signal,
                looks_for_leftovers=True,
                event_pipe=channel.pipe if channel is not None else None,
            ),
            on_end=on_end,
            judges_exit=judges_exit,
            ends_running=ends_running,
        )

    @property
    def longest_timeout(self) -> float:
        """The longest time limit of its tests; 0 if one has none."""
        return self.tools.settings.longest_timeout(self.name, self.tests)

    def fail(self, reason: str, text: str = "") -> None:
        """Fail the package, with a short reason and lines that explain it."""
        if text:
            self.report.say(text)
        self.owner.reason = self.owner.reason or reason

    def fail_without_test(self, completed: Completed) -> None:
        """Fail the package if the process of all its tests failed although no test did.

        A part of the tests may cover less than a threshold asks for, which says nothing.
        """
        if (
            self.is_whole
            and completed.exit_code
            and not (self.report.failed or self.crashed or self.owner.reason)
        ):
            kind = self.package.project.settings.kind
            said = how_ended(completed)
            self.fail(failure_of(completed), f"no test failed, but {kind} ended {said}")

    def must_stop(self) -> bool:
        """Return whether no other process may be started."""
        return self.owner.must_stop(self.report)

    def _sorted(
        self, channel: EventChannel | None, on_stdout: Callable[[bytes], None] | None
    ) -> Callable[[str, bytes], None]:
        def take(stream: str, chunk: bytes) -> None:
            if stream == "events" and channel is not None:
                channel.feed(chunk)
            elif stream == "stdout" and on_stdout is not None:
                on_stdout(chunk)
            else:
                self.report.stray(chunk)

        return take
