"""A file system in which one step fails, and a driver that lets every step fail in turn.

For the tests of the cache; see also functional_tests/rounds.py, which kills real runs at any time.
"""

import errno
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from envy.cache.filesystem import FileSystem

CRASHED = 70
ERRORS = (errno.ENOSPC, errno.EIO, errno.EACCES, errno.EMFILE)
ENDS = ("exit", "kill")
# A step fails with one of the errors, and the next step with the next one; in `make soak`, each
# step fails with every error. It is the same with the ways in which a process ends.
IS_SOAKED = "ENVY_SOAK_FAULTS" in os.environ
SHIFTS_OF_ERRORS = range(len(ERRORS) if IS_SOAKED else 1)
SHIFTS_OF_ENDS = range(len(ENDS) if IS_SOAKED else 1)


class FaultyFileSystem(FileSystem):
    """The real file system, except that one step calls `fault`, half done if `halfway`."""

    def __init__(self, step: int, fault: Callable[[], None], *, halfway: bool) -> None:
        self.left = step
        self.fault = fault
        self.halfway = halfway
        self.met = ""

    def _step(self, name, half=lambda: None):
        self.left -= 1
        if self.left == 0:
            self.met = name
            if self.halfway:
                half()
            self.fault()

    def make_dir(self, path):
        self._step("make_dir", lambda: super(FaultyFileSystem, self).make_dir(path))
        return super().make_dir(path)

    def write_file(self, path, data):
        half = data[: len(data) // 2]
        self._step("write_file", lambda: super(FaultyFileSystem, self).write_file(path, half))
        super().write_file(path, data)

    def write_flushed(self, texts):
        for path, data in texts.items():
            self.write_file(path, data)
        self.flush(list(texts))

    def remove_empty_dir(self, path):
        self._step("remove_empty_dir")
        return super().remove_empty_dir(path)

    def rename(self, source, target):
        self._step("rename")
        super().rename(source, target)

    def link(self, source, target):
        self._step("link")
        return super().link(source, target)

    def remove(self, path):
        self._step("remove")
        return super().remove(path)

    def set_mode(self, path, mode):
        self._step("set_mode")
        super().set_mode(path, mode)

    def remove_tree(self, path):
        def half():
            for below in list(Path(path).iterdir())[:1] if Path(path).is_dir() else ():
                super(FaultyFileSystem, self).remove_tree(str(below))

        self._step("remove_tree", half)
        super().remove_tree(path)

    def flush(self, paths):
        for path in paths:
            self._step("flush")
            super().flush([path])

    def flush_dirs(self, paths):
        for path in paths:
            self._step("flush_dirs")
            super().flush_dirs([path])


def in_turn(kinds, *numbers):
    """Return the kind whose turn it is at the sum of some numbers."""
    return kinds[sum(numbers) % len(kinds)]


def every_step(run):
    """Call `run(step)` for 1, 2, … until no such step exists; return the names of the steps."""
    met = []
    while name := run(len(met) + 1):
        met.append(name)
    return met


def memory_dir():
    """Return a temporary folder, in memory if possible: on a disk, the flushes take minutes."""
    shared = Path("/dev/shm")
    usable = shared.is_dir() and os.access(shared, os.W_OK)
    return tempfile.TemporaryDirectory(dir=shared if usable else None, prefix="envy-test-")
