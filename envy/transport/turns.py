"""Turns of the threads that fetch many small files at once.

Each call to the system gives the interpreter to another thread and has to get it back, which takes
longer than the work on a small file itself. So one thread of a batch works at a time, from the
first bytes of an answer to the next request. A turn is a courtesy, which guards nothing: whoever
has waited for as long as the interpreter lets a thread compute goes on without it.
"""

import contextlib
import sys
import threading
from collections.abc import Iterator

_thread_local = threading.local()  # .turn: the lock of this thread's batch; .has: whether it has it


@contextlib.contextmanager
def taking_turns(turn: threading.Lock) -> Iterator[None]:
    """Let this thread take turns with all others that have the same lock."""
    _thread_local.turn, _thread_local.has = turn, False
    try:
        yield
    finally:
        give_turn()
        _thread_local.turn = None


def give_turn() -> None:
    """Let another thread work, before this one waits for something."""
    if getattr(_thread_local, "has", False):
        _thread_local.has = False
        _thread_local.turn.release()


def take_turn() -> None:
    """Wait until this thread may work, after it has waited for something."""
    turn = getattr(_thread_local, "turn", None)
    if turn is not None and not _thread_local.has:
        _thread_local.has = turn.acquire(timeout=sys.getswitchinterval())
