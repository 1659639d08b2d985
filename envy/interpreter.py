"""The interpreter slot: one section of Python or Lua runs at a time.

Two runnable Python threads cost more than one, because they compete for the interpreter lock. A
worker therefore holds this slot while it computes, and releases it around anything that waits: a
child process, a transfer, a file lock, a flush.

Guarantees
  A thread that never took the slot may call `released()`, which then does nothing.
  The slot is innermost: nothing else is acquired while waiting for it.
  Lua code cannot keep the slot from others: a C function of Lua may run for minutes (a pattern
  match) without giving way. A thread that has waited for a moment takes the slot over if its holder
  is inside of Lua; the holder waits for it again before it runs any Python code.
"""

import contextlib
import threading
import time
from collections.abc import Iterator
from typing import Protocol

_thread_local = threading.local()  # .lock: the lock of the slot that this thread holds, or None
_PATIENCE = 0.25  # seconds; Lua code that can give way does so after a tenth of that
_WAITS_PER_SAMPLE = 32  # waits that release the slot, between two that keep it to be measured
_BRIEF = 0.0003  # seconds; two handovers with their wake-ups cost about half of that


class Lock(Protocol):
    """The methods of `threading.Lock` that the slot needs."""

    def acquire(self) -> bool:
        """Block until the lock is free, and take it."""

    def release(self) -> None:
        """Release the lock."""


class _TakeableLock:
    """A lock that may be taken from a holder that is inside of Lua."""

    __slots__ = ("_changing", "_inside", "_lock", "inside")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._changing = threading.Lock()
        self._inside: object | None = None  # what the holder got when it went into Lua
        self.inside = 0  # threads that are in Lua, with or without the lock

    def acquire(self) -> bool:
        while not self._lock.acquire(timeout=_PATIENCE):
            with self._changing:
                if self._inside is not None:
                    # The lock stays locked, and is now this thread's.
                    self._inside = None
                    return True
        return True

    def release(self) -> None:
        self._lock.release()

    def go_inside(self) -> object:
        """The holder goes into Lua."""
        inside = object()
        with self._changing:
            self._inside = inside
            self.inside += 1
        return inside

    def come_back(self, inside: object) -> None:
        """The thread that was inside of Lua comes back, and waits if it lost the lock."""
        with self._changing:
            self.inside -= 1
            if self._inside is inside:
                self._inside = None
                return
        self.acquire()


class InterpreterSlot:
    """The slot of one engine. A worker holds it for as long as it computes.

    The lock decides which thread gets a released slot; by default, the operating system does.
    """

    def __init__(self, lock: Lock | None = None) -> None:
        self._lock: Lock = lock or _TakeableLock()

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Hold the slot in this thread, so that `released()` can release it."""
        self._lock.acquire()
        _thread_local.lock = self._lock
        try:
            yield
        finally:
            _thread_local.lock = None
            self._lock.release()

    def is_in_lua(self) -> bool:
        """Return whether some thread runs Lua code; may be called from any thread."""
        return isinstance(self._lock, _TakeableLock) and self._lock.inside > 0


@contextlib.contextmanager
def released() -> Iterator[None]:
    """Let other threads compute while this thread waits for something outside Python."""
    lock: Lock | None = getattr(_thread_local, "lock", None)
    if lock is None:
        yield
        return
    _thread_local.lock = None
    lock.release()
    try:
        yield
    finally:
        lock.acquire()
        _thread_local.lock = lock


def go_into_lua() -> None:
    """Call before Lua code runs: others may take the slot until `come_back_from_lua`."""
    lock = getattr(_thread_local, "lock", None)
    if isinstance(lock, _TakeableLock):
        _thread_local.inside = lock.go_inside()


def come_back_from_lua() -> bool:
    """Call after Lua code, and when it calls Python; return whether this thread was in Lua."""
    inside = getattr(_thread_local, "inside", None)
    if inside is None:
        return False
    _thread_local.inside = None
    _thread_local.lock.come_back(inside)
    return True


class BriefWaits:
    """Waits of one kind that may be so short that releasing the slot would cost more.

    The last waits decide: while they were brief, the slot is kept; after a long one it is released
    again. A flush takes no time in memory, and milliseconds on a disk. A wait can only be measured
    while the slot is kept, because without it much of the time goes into getting the interpreter
    back. One wait in many therefore keeps the slot in any case.
    """

    __slots__ = ("_average", "_unmeasured")

    def __init__(self) -> None:
        self._average = 0.0  # seconds, of the waits that kept the slot
        self._unmeasured = 0  # waits since the last of those

    @contextlib.contextmanager
    def waiting(self) -> Iterator[None]:
        """Run the wait in the body of this context, with or without the slot."""
        if self._average >= _BRIEF and self._unmeasured < _WAITS_PER_SAMPLE:
            self._unmeasured += 1
            with released():
                yield
            return
        self._unmeasured = 0
        started = time.perf_counter()
        try:
            yield
        finally:
            self._average += (time.perf_counter() - started - self._average) / 4


def give_way() -> None:
    """Let a thread that waits for the slot have its turn; for use in long computations."""
    with released():
        pass
