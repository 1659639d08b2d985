"""What a piece of code leaves behind in this process: threads that run, and files that are open."""

import contextlib
import gc
import threading
from pathlib import Path


def descriptors():
    """Return the numbers of this process's open files; none where the system does not say."""
    folder = Path("/dev/fd")
    return {path.name for path in folder.iterdir()} if folder.is_dir() else set()


@contextlib.contextmanager
def nothing_left_open():
    """Assert that a block leaves no thread running and no file open.

    What earlier tests of this process left may end at any time, so it is not counted.
    """
    gc.collect()
    threads, files = {*threading.enumerate()}, descriptors()
    yield
    assert {*threading.enumerate()} - threads == set()
    assert descriptors() - files == set()
