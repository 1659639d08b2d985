"""A second thread for one piece of work, as long as the process has processors for it."""

import contextlib
import os
import threading
from collections.abc import Callable, Iterator

_free = threading.BoundedSemaphore(max(1, (os.cpu_count() or 1) - 1))


@contextlib.contextmanager
def extra_thread(work: Callable[[], None], stop: Callable[[], None]) -> Iterator[bool]:
    """Run `work` in a second thread; False if there is none, and nothing runs.

    It has ended when the context is left. `stop` is called before that, so that it ends soon, if
    the context is left by an exception.
    """
    if not _free.acquire(blocking=False):
        yield False
        return
    thread = threading.Thread(target=work, name="unpack", daemon=True)
    try:
        if not _starts(thread):
            yield False
            return
        try:
            yield True
        except BaseException:
            stop()
            raise
        finally:
            thread.join()
    finally:
        _free.release()


def _starts(thread: threading.Thread) -> bool:
    try:
        thread.start()
    except RuntimeError:
        return False  # the system has no more threads
    return True
