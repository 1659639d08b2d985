"""Circles of waits: who finds them, by marks and open files."""

import os
import subprocess
import sys

import pytest

from envy.cache.lock import FileLock
from envy.cache.lock_cycle import find_circle, inherited_marks, visible_wait

OPENS = "import sys; file = open(sys.argv[1]); print(flush=True); sys.stdin.read()"


@pytest.fixture
def locks(tmp_path):
    """Three locks, which this process holds."""
    held = [FileLock(tmp_path / f"{name}.lock") for name in "abc"]
    for lock in held:
        lock.acquire()
    yield held
    for lock in held:
        lock.release()


def waiting(under, lock):
    """Start a process that works under one lock and has another one open, as if it waited."""
    process = subprocess.Popen(
        [sys.executable, "-c", OPENS, lock.path],
        env={**os.environ, **under.mark()},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    process.stdout.readline()
    return process


def test_a_wait_for_a_lock_above_never_ends(locks):
    """Without looking at any other process."""
    a, b, _ = locks
    assert find_circle(a, a.mark()) == [a.path]
    assert find_circle(b, a.mark()) == []
    assert find_circle(a, {}) == []


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_a_wait_through_others_never_ends(locks):
    """One that works under the lock waits for another, whose program waits for ours."""
    a, b, c = locks
    processes = [waiting(b, c), waiting(c, a)]
    try:
        assert find_circle(b, a.mark()) == [b.path, c.path, a.path]
        assert find_circle(b, {}) == []
        assert find_circle(a, c.mark() | {"OTHER": "x"}) == []
    finally:
        for process in processes:
            process.communicate()
    assert find_circle(b, a.mark()) == []


def test_a_free_lock_is_in_no_circle(tmp_path):
    """A lock without an owner, or without a file."""
    free = FileLock(tmp_path / "free.lock")
    with visible_wait(free):
        assert find_circle(free, {"ENVY_ATTEMPT_0": "1:2"}) == []


def test_only_marks_are_handed_down(locks):
    """A script of an envy in a script works under the locks of both."""
    mark = locks[0].mark()
    assert inherited_marks({"PATH": "x", **mark}) == mark
