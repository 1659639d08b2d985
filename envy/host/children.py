"""The registry of running child processes, and how they are terminated.

Owns the registry and every signal that envy sends to a child. One registry serves a whole run of
envy; each child is in it from its start until it is about to be reaped.

Guarantees
  No signal is sent to a process number that the system may have reused: a child leaves the registry
  before it is reaped, and signals are sent under the registry's lock.
  Once `terminate_all` has begun, no child starts: one that is just being started is killed at once.
Lock order: `_State.changed` is innermost; under it no other lock is taken and no callback called.
"""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from envy.errors import Cancelled

GRACE = 1.0  # seconds between asking a child to end and killing it


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningChild:
    """A child at one moment, for reports; times are those of `time.monotonic`."""

    label: str
    pid: int
    command: str
    started: float
    last_output: float


class Child:
    """One child in the registry; only the thread that runs it writes `last_output`."""

    __slots__ = ("command", "has_group", "kill_at", "label", "last_output", "pid", "started")

    def __init__(self, pid: int, *, label: str, command: str, has_group: bool) -> None:
        self.pid = pid
        self.label = label
        self.command = command
        self.has_group = has_group
        self.started = self.last_output = time.monotonic()
        self.kill_at: float | None = None  # set when terminate_all asks it to end

    def send(self, number: signal.Signals) -> None:
        """Signal the child's group; an interactive child is in envy's, and is signalled alone."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if self.has_group:
                os.killpg(self.pid, number)
            else:
                os.kill(self.pid, number)

    def snapshot(self) -> RunningChild:
        """Return the state of the child at this moment."""
        return RunningChild(
            label=self.label,
            pid=self.pid,
            command=self.command,
            started=self.started,
            last_output=self.last_output,
        )


class _State:
    __slots__ = ("at_stop", "changed", "running", "stopping")

    def __init__(self) -> None:
        self.at_stop: list[Callable[[], None]] = []
        self.changed = threading.Condition(threading.Lock())
        self.running: dict[int, Child] = {}
        self.stopping = False


def _ignore(group: int) -> None:
    del group


class Children:
    """The registry; `hooked` returns a view of it that also reports process groups.

    `stand_in` may answer in place of a program, as if that had run; its None starts the program.
    """

    __slots__ = ("_state", "marks", "on_end", "on_start", "stand_in", "watch_exit")

    def __init__(
        self,
        *,
        watch_exit: Callable[[int], int] | None = None,
        on_start: Callable[[int], None] = _ignore,
        on_end: Callable[[int], None] = _ignore,
        marks: Mapping[str, str] | None = None,
        stand_in: Callable[[Any], Any] | None = None,  # a ProcessSpec; Completed, or None
        state: _State | None = None,
    ) -> None:
        self.watch_exit = watch_exit or watch_exit_of
        self.on_start = on_start
        self.on_end = on_end
        self.marks = marks or {}  # variables that every child gets
        self.stand_in = stand_in
        self._state = state or _State()

    def hooked(
        self,
        *,
        on_start: Callable[[int], None],
        on_end: Callable[[int], None],
        marks: Mapping[str, str] | None = None,
    ) -> "Children":
        """Return the same registry, with callbacks for process groups that start and end.

        Interactive children are not reported: their group is envy's own, which must not be killed.
        """
        return Children(
            watch_exit=self.watch_exit,
            on_start=on_start,
            on_end=on_end,
            marks=marks or self.marks,
            stand_in=self.stand_in,
            state=self._state,
        )

    @contextlib.contextmanager
    def calling_at_stop(self, call: Callable[[], None]) -> Iterator[None]:
        """Call a function, which must return quickly, if `terminate_all` begins in this block."""
        with self._state.changed:
            self._state.at_stop.append(call)
            stopping = self._state.stopping
        if stopping:
            call()
        try:
            yield
        finally:
            with self._state.changed:
                self._state.at_stop.remove(call)

    @property
    def stopping(self) -> bool:
        """Whether all children are being terminated and no more may start."""
        return self._state.stopping

    def ensure_open(self) -> None:
        """Raise Cancelled if children may no longer be started."""
        if self._state.stopping:
            raise Cancelled("no more programs are started, because the run is ending")

    def add(self, child: Child) -> None:
        """Add a child that was just started; it is killed at once after `terminate_all`."""
        with self._state.changed:
            self._state.running[child.pid] = child
            if self._state.stopping:
                child.kill_at = time.monotonic()
                child.send(signal.SIGKILL)

    def send(self, child: Child, number: signal.Signals) -> None:
        """Signal a child's group, unless it has left the registry."""
        with self._state.changed:
            if child.pid in self._state.running:
                child.send(number)

    def remove(self, child: Child) -> None:
        """Kill the rest of a child's group and forget the child; the caller reaps it next."""
        with self._state.changed:
            if self._state.running.pop(child.pid, None) and child.has_group:
                child.send(signal.SIGKILL)
            self._state.changed.notify_all()

    def running(self) -> list[RunningChild]:
        """Return the children that run now, oldest first."""
        with self._state.changed:
            return sorted(
                (child.snapshot() for child in self._state.running.values()),
                key=lambda child: child.started,
            )

    def terminate_all(self, *, grace: float = GRACE) -> bool:
        """Ask every child to end, kill the remaining ones after `grace` seconds, and start no more.

        Blocks for twice the grace at most; returns whether everything ended. Call it from a thread
        that runs no child and holds no slot.
        """
        state = self._state
        with state.changed:
            state.stopping = True
            calls = tuple(state.at_stop)
        for call in calls:
            call()
        with state.changed:
            kill_at = time.monotonic() + grace
            for child in state.running.values():
                child.kill_at = kill_at
                child.send(signal.SIGTERM)
            if not state.changed.wait_for(lambda: not state.running, grace):
                for child in state.running.values():
                    child.send(signal.SIGKILL)
                state.changed.wait_for(lambda: not state.running, grace)
            return not state.running


def watch_exit_of(pid: int) -> int:
    """Return a descriptor that becomes readable when the child ends, without reaping it."""
    if hasattr(os, "pidfd_open"):
        # Refused by old kernels and by some sandboxes.
        with contextlib.suppress(OSError):
            return os.pidfd_open(pid)
    return watch_exit_by_thread(pid)


def watch_exit_by_thread(pid: int) -> int:
    """Do the same without descriptors of processes: a thread waits, then closes a pipe."""
    reading, writing = os.pipe()

    def wait() -> None:
        try:
            _wait_without_reaping(pid)
        finally:
            os.close(writing)

    threading.Thread(target=wait, name=f"wait-{pid}", daemon=True).start()
    return reading


def _wait_without_reaping(pid: int) -> None:
    import select

    if hasattr(os, "waitid"):
        with contextlib.suppress(ChildProcessError):
            os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        return
    queue = select.kqueue()  # type: ignore[attr-defined]
    ended = select.kevent(  # type: ignore[attr-defined]
        pid,
        filter=select.KQ_FILTER_PROC,  # type: ignore[attr-defined]
        flags=select.KQ_EV_ADD,  # type: ignore[attr-defined]
        fflags=select.KQ_NOTE_EXIT,  # type: ignore[attr-defined]
    )
    # A child that has ended already cannot be watched; then the wait is over.
    with contextlib.suppress(ProcessLookupError):
        queue.control([ended], 1, None)
    queue.close()
