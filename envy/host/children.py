"""The child processes that run now, and how they are ended.

Owns the registry and every signal that envy sends. One registry serves a whole run of envy; each
child is in it from its start until it is about to be reaped.

Guarantees
  No signal goes to a process number that was given back to the system: a child leaves the registry
  before it is reaped, and signals are sent under the registry's lock.
  After `terminate_all` began no child starts: one that was just being started is killed at once.
Lock order: `_State.changed` is innermost; nothing else is taken, and nobody is called, under it.
"""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from envy.errors import Cancelled

GRACE = 1.0  # seconds between asking a child to end and making it


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningChild:
    """A child as reports show it; times are those of `time.monotonic`."""

    label: str
    pid: int
    command: str
    started: float
    last_output: float


class Child:
    """One child in the registry; only its own runner writes `last_output`."""

    __slots__ = ("command", "has_group", "kill_at", "label", "last_output", "pid", "started")

    def __init__(self, pid: int, *, label: str, command: str, has_group: bool) -> None:
        self.pid = pid
        self.label = label
        self.command = command
        self.has_group = has_group
        self.started = self.last_output = time.monotonic()
        self.kill_at: float | None = None  # set once it was asked to end by terminate_all

    def send(self, number: signal.Signals) -> None:
        """Signal the child's group; an interactive child shares envy's, and is met alone."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if self.has_group:
                os.killpg(self.pid, number)
            else:
                os.kill(self.pid, number)

    def snapshot(self) -> RunningChild:
        """The child as it is at this moment."""
        return RunningChild(
            label=self.label,
            pid=self.pid,
            command=self.command,
            started=self.started,
            last_output=self.last_output,
        )


class _State:
    __slots__ = ("changed", "running", "stopping")

    def __init__(self) -> None:
        self.changed = threading.Condition(threading.Lock())
        self.running: dict[int, Child] = {}
        self.stopping = False


def _ignore(group: int) -> None:
    del group


class Children:
    """The registry. `hooked` gives a view of it that also reports process groups to somebody."""

    __slots__ = ("_state", "on_end", "on_start", "watch_exit")

    def __init__(
        self,
        *,
        watch_exit: Callable[[int], int] | None = None,
        on_start: Callable[[int], None] = _ignore,
        on_end: Callable[[int], None] = _ignore,
        state: _State | None = None,
    ) -> None:
        self.watch_exit = watch_exit or watch_exit_of
        self.on_start = on_start
        self.on_end = on_end
        self._state = state or _State()

    def hooked(
        self, *, on_start: Callable[[int], None], on_end: Callable[[int], None]
    ) -> "Children":
        """The same registry for one user of it, who is told the groups that begin and end.

        Interactive children are not told: their group is envy's own, which nobody may kill.
        """
        return Children(
            watch_exit=self.watch_exit, on_start=on_start, on_end=on_end, state=self._state
        )

    @property
    def stopping(self) -> bool:
        """Whether all are being ended, and no more are started."""
        return self._state.stopping

    def ensure_open(self) -> None:
        """Raise Cancelled if children may no longer be started."""
        if self._state.stopping:
            raise Cancelled("no program is started any more, because the run is ending")

    def add(self, child: Child) -> None:
        """Note a child that was just started; it is killed at once if all are being ended."""
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
        """Kill what is left of a child's group and forget it; its runner reaps it next."""
        with self._state.changed:
            if self._state.running.pop(child.pid, None) and child.has_group:
                child.send(signal.SIGKILL)
            self._state.changed.notify_all()

    def running(self) -> list[RunningChild]:
        """What runs now, oldest first."""
        with self._state.changed:
            return sorted(
                (child.snapshot() for child in self._state.running.values()),
                key=lambda child: child.started,
            )

    def terminate_all(self, *, grace: float = GRACE) -> bool:
        """Ask every child to end, kill those that have not after `grace`, and start no more.

        Blocks for twice the grace at most, and tells whether everything ended. To be called from
        a thread that runs no child and holds no slot.
        """
        state = self._state
        with state.changed:
            state.stopping = True
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
    """A descriptor that becomes readable when the child ends; the child is not reaped by it."""
    if hasattr(os, "pidfd_open"):
        # Refused by old kernels and by some sandboxes.
        with contextlib.suppress(OSError):
            return os.pidfd_open(pid)
    return watch_exit_by_thread(pid)


def watch_exit_by_thread(pid: int) -> int:
    """The same where no descriptor stands for a process: a thread waits and closes a pipe."""
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
    # One that has ended already can no longer be watched, which says as much.
    with contextlib.suppress(ProcessLookupError):
        queue.control([ended], 1, None)
    queue.close()
