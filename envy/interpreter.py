"""The interpreter slot: one section of Python or Lua runs at a time.

Two runnable Python threads cost more than one, because they fight over the interpreter lock.
A worker therefore holds this slot while it computes, and lets it go around anything that waits:
a child process, a transfer, a file lock, a flush.

Guarantees
  A thread that never took the slot may call `released()`; it then does nothing.
  The slot is innermost: nothing else is acquired while waiting for it.
"""

import contextlib
import threading
import time
from collections.abc import Iterator
from typing import Protocol

_held = threading.local()
_BETWEEN_LOOKS = 32  # waits without the slot, between two that keep it
_BRIEF = 0.0003  # seconds; two handovers with their wake-ups cost about half of that


class Lock(Protocol):
    """What `threading.Lock` can do, as far as it is needed."""

    def acquire(self) -> bool:
        """Wait until nobody has it, and take it."""

    def release(self) -> None:
        """Let it go."""


class InterpreterSlot:
    """One per engine. Taken by a worker for as long as it computes.

    Who gets a slot that was let go is the choice of the lock; by default, of the system's.
    """

    def __init__(self, lock: Lock | None = None) -> None:
        self._lock: Lock = lock or threading.Lock()

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Hold the slot in this thread, so that `released()` finds it."""
        self._lock.acquire()
        _held.lock = self._lock
        try:
            yield
        finally:
            _held.lock = None
            self._lock.release()


@contextlib.contextmanager
def released() -> Iterator[None]:
    """Let others compute while this thread waits for something outside Python."""
    lock: Lock | None = getattr(_held, "lock", None)
    if lock is None:
        yield
        return
    _held.lock = None
    lock.release()
    try:
        yield
    finally:
        lock.acquire()
        _held.lock = lock


class BriefWaits:
    """Waits of one sort that may be too short to give way for: a handover costs more than they do.

    The latest decide. While they were brief the slot is kept, and let go again after a long one: a
    flush is nothing in memory, and milliseconds on a disk. How long they are shows only while the
    slot is kept, for without it much of the time goes into getting the interpreter back; so one
    wait in many keeps it in any case.
    """

    __slots__ = ("_average", "_left_out")

    def __init__(self) -> None:
        self._average = 0.0  # seconds, of those that kept the slot
        self._left_out = 0  # waits since the last of those

    @contextlib.contextmanager
    def waiting(self) -> Iterator[None]:
        """Wait in here, with the slot or without."""
        if self._average >= _BRIEF and self._left_out < _BETWEEN_LOOKS:
            self._left_out += 1
            with released():
                yield
            return
        self._left_out = 0
        started = time.perf_counter()
        try:
            yield
        finally:
            self._average += (time.perf_counter() - started - self._average) / 4


def give_way() -> None:
    """Let a thread that waits for the slot have its turn, as a long computation should."""
    with released():
        pass
