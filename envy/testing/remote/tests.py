"""Running test binaries on a server, beside those that run here.

Guarantees
  Whatever the server does, each test has a result: what it does not execute runs here.
  A server that does not answer is one warning, and is not used again in this run.
  A former result counts only if it was a success.
"""

from __future__ import annotations

import contextlib
import dataclasses
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Protocol, TypeVar, runtime_checkable

from envy import events as ev
from envy.errors import Cancelled, EnvyError
from envy.events import EventBus
from envy.host.process import Completed
from envy.interpreter import released
from envy.sharing.actions import Executed, NotExecuted, RemoteAction
from envy.testing.events import StreamEvent
from envy.testing.package import Emit, PackageRun, RemoteInputs
from envy.testing.remote.inputs import BINARY, program_of
from envy.testing.shared.places import NamedPlaces
from envy.transport.context import NotFound

_GRACE = 30.0  # seconds for a program to start and to write its results
_NAMED = 5  # packages in one line
_MOST_FAILURES = 3  # actions that the server did not execute, before it is not used any more
_SIGNALS = range(129, 193)


_Result = TypeVar("_Result")


class Executor(Protocol):
    """A server that executes actions."""

    shown: str

    def check(self) -> None:
        """Raise a FetchError if it executes nothing."""

    def is_news(self, error: EnvyError) -> bool:
        """Return whether an error of it is to be reported."""

    def execute(
        self,
        action: RemoteAction,
        check: Callable[[], None],
        on_stage: Callable[[str], None],
    ) -> Executed:
        """Return how an action ends; tell what it does before."""


@runtime_checkable
class RunsRemotely(Protocol):
    """A driver whose test programs can run on another machine."""

    def remote_inputs(self, run: PackageRun, places: NamedPlaces) -> RemoteInputs:
        """Return what the test program of a package needs.

        Raises:
            StaysHere: it runs here.
        """


class RemoteTests:
    """The server that the tests of a command run on."""

    def __init__(
        self,
        open_executor: Callable[[], Executor],
        places: NamedPlaces,
        events: EventBus,
        *,
        jobs: int,
        here: int,
        reads: bool,
        warn: Callable[[str], None],
        say: Callable[[str], None],
    ) -> None:
        """`jobs` actions are executed at once, and `here` programs run in their place."""
        self.places = places
        self.jobs = jobs
        self._reads = reads
        self._open = open_executor
        self._executor: Executor | None = None
        self._bus = events
        self._warn = warn
        self._say = say
        self._check: Callable[[], None] = lambda: None
        self._lock = threading.Lock()
        self._here = threading.BoundedSemaphore(here)
        self._why_off = ""
        self._failures = 0
        self._stay: dict[str, str] = {}
        self._ends_at: float | None = None
        self._waits: dict[object, tuple[str, str, float]] = {}  # package, what it does, since when

    def begin(self, check: Callable[[], None], ends_at: float | None) -> None:
        """Connect to the server, unless that was done; `is_used` says whether it can be used.

        `check` raises Cancelled when the run is to end; what has not ended at `ends_at`, a moment
        of the monotonic clock, has timed out.

        Raises:
            UsageError: what it needs is not installed; Cancelled: the run is ending.
        """
        self._check = check
        self._ends_at = ends_at
        if self._executor is not None:
            return
        self._executor = self._open()
        try:
            with released():
                self._executor.check()
        except Cancelled:
            raise
        except EnvyError as error:
            self._switch_off(error)

    @property
    def shown(self) -> str:
        """The address of the server."""
        return self._executor.shown if self._executor is not None else ""

    @property
    def is_used(self) -> bool:
        """Whether actions are sent to the server."""
        return self._executor is not None and not self._why_off

    def note_local(self, package: str, reason: str) -> None:
        """Report that the tests of a package run here, although a server executes tests."""
        with self._lock:
            self._stay[package] = reason
        self._bus.emit(ev.TestKeptLocal(package=package, reason=reason))

    def say_local(self) -> None:
        """Tell the user which packages run here, and why, by reason."""
        by_reason: dict[str, list[str]] = {}
        with self._lock:
            stay, self._stay = self._stay, {}
        for package, reason in stay.items():
            by_reason.setdefault(reason, []).append(package)
        for reason, names in by_reason.items():
            more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
            verb = "runs" if len(names) == 1 else "run"
            self._say(f"{', '.join(names[:_NAMED])}{more} {verb} here: {reason}")

    @contextlib.contextmanager
    def running_here(self) -> Iterator[None]:
        """Wait for the turn of a program that runs here in the place of an action."""
        with released():
            self._here.acquire()
        try:
            yield
        finally:
            self._here.release()

    def execute(self, package: str, action: RemoteAction) -> Executed | None:
        """Execute an action; return None if its program has to run here.

        Raises:
            Cancelled: the run is ending.
        """
        if self._executor is None or self._why_off:
            return None
        started = time.monotonic()
        reads = action.reads_cache and self._reads
        action = dataclasses.replace(action, reads_cache=reads, ends_at=self._ends_at)
        try:
            with released(), self._waiting(package) as on_stage:
                executed = self._executor.execute(action, self._check, on_stage)
        except Cancelled:
            raise
        except EnvyError as error:
            reason = error.message.partition("\n")[0]
            self.note_local(package, reason)
            self.say_local()
            is_this_action = isinstance(error, NotExecuted | NotFound)
            with self._lock:
                self._failures += 1
                is_last = self._failures >= _MOST_FAILURES
            if not is_this_action or is_last:
                self._switch_off(error)
            return None
        self._bus.emit(
            ev.TestExecuted(
                package=package,
                server=self._executor.shown,
                exit_code=executed.exit_code,
                cached=executed.is_cached,
                duration_ms=round((time.monotonic() - started) * 1000),
            )
        )
        return executed

    def describe_waits(self) -> list[str]:
        """Return a line for each action that is waited for."""
        now = time.monotonic()
        with self._lock:
            rows = list(self._waits.values())
        return [f"{name}: {does} {self.shown} ({now - since:.0f} s)" for name, does, since in rows]

    @contextlib.contextmanager
    def _waiting(self, package: str) -> Iterator[Callable[[str], None]]:
        name = object()

        def on_stage(does: str) -> None:
            with self._lock:
                self._waits[name] = (package, does, time.monotonic())

        on_stage("is sent to")
        try:
            yield on_stage
        finally:
            with self._lock:
                del self._waits[name]

    def _switch_off(self, error: EnvyError) -> None:
        message = error.message.partition("\n")[0]
        with self._lock:
            is_first, self._why_off = not self._why_off, self._why_off or message
        if is_first and self._executor is not None and self._executor.is_news(error):
            hint = f" ({error.hint})" if error.hint else ""
            self._warn(f"{message}{hint}; the tests run here")


class RemotePackage:
    """One package whose tests run on a server: its files, and how its events are marked."""

    def __init__(self, tests: RemoteTests, package: str, inputs: RemoteInputs, emit: Emit) -> None:
        self._tests = tests
        self._package = package
        self._folder = inputs.folder
        self._files = inputs.files
        self._emit = emit
        self._answers: list[bool] = []  # whether each was a former one
        self._is_here = False

    @property
    def ran_on(self) -> str:
        """Where the programs of the package ran, as the end of a sentence."""
        if not self._answers:
            return ""
        server = self._tests.shown
        return f"answered by the action cache of {server}" if all(self._answers) else f"on {server}"

    @property
    def was_used(self) -> bool:
        """Whether a program of the package ran on the server."""
        return bool(self._answers)

    def emit(self, event: StreamEvent) -> None:
        """Pass on an event, marked by where its program ran."""
        if self._answers and not self._is_here:
            event = dataclasses.replace(event, remote=True, cached=all(self._answers))
        self._emit(event)

    def execute(
        self,
        words: Sequence[str],
        binary: str,
        *,
        seconds: float,
        environment: Mapping[str, str],
        outputs: Sequence[str] = (),
        is_pass: Callable[[Executed], bool] | None = None,
        ends_itself: bool = True,
    ) -> Executed | None:
        """Run the binary with these words; return None if it has to run here.

        The server ends what takes longer than `seconds`: later, if the program `ends_itself` then.

        With `is_pass`, a former success may be the answer if that says so: a test may end its
        process with the exit code 0.
        """
        action = RemoteAction(
            argv=[program_of(self._folder), *words],
            folder=self._folder,
            files={**self._files, BINARY: binary},
            environment=environment,
            outputs=outputs,
            timeout=seconds + _GRACE if seconds and ends_itself else seconds,
            reads_cache=is_pass is not None,
        )
        executed = self._tests.execute(self._package, action)
        if executed is not None and executed.is_cached and not (is_pass and is_pass(executed)):
            action = dataclasses.replace(action, reads_cache=False)
            executed = self._tests.execute(self._package, action)
        self._is_here = executed is None
        if executed is not None:
            self._answers.append(executed.is_cached)
        return executed

    def here(self, run: Callable[[], _Result]) -> _Result:
        """Run a program here after all, when it is its turn."""
        with self._tests.running_here():
            return run()


def package_on(tests: RemoteTests | None, run: PackageRun, emit: Emit) -> RemotePackage | None:
    """Return a package as one that runs on a server; None if it runs here."""
    if tests is None or run.remote is None:
        return None
    return RemotePackage(tests, run.package.name, run.remote, emit)


def completed_of(executed: Executed) -> Completed:
    """Return the end of an action as that of a process of this machine."""
    code = executed.exit_code
    signal = code - 128 if code in _SIGNALS else None
    return Completed(exit_code=code, signal=signal, timed_out=executed.timed_out)


def limit_of(limits: Collection[float], ends_at: float | None) -> float:
    """Return the time limit of a process, in seconds: those of its tests, or what the run has left.

    0 is no limit.
    """
    seconds = 0.0 if 0.0 in limits else sum(limits)
    if ends_at is None:
        return seconds
    left = max(1.0, ends_at - time.monotonic())
    return min(seconds or left, left)
