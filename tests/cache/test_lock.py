"""Locks between processes and threads. The processes and the signals are real."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from left_open import nothing_left_open

import envy
from envy.cache.lock import FileLock
from envy.errors import CacheError, Cancelled, InternalError
from envy.host.process_table import process_start_time
from envy.interpreter import InterpreterSlot

HOLD = """
import sys
from envy.cache.lock import FileLock
lock = FileLock(sys.argv[1])
lock.acquire()
print("held", flush=True)
"""
UNTIL_TOLD = "sys.stdin.read()\n"
# Runs a group of two processes under the lock, whose output is ours: that ends when both have. The
# first has so much memory that its end takes a while.
RUN_GROUP = """
import subprocess
from envy.host.process_table import process_start_time
child = subprocess.Popen([sys.executable, "-c", sys.argv[2]], process_group=0)
lock.record_group(child.pid, sys.argv[3] if sys.argv[3:] else process_start_time(child.pid))
"""
WORKER = """
import os, signal, subprocess
signal.signal(signal.SIGTERM, signal.SIG_IGN)
subprocess.Popen(["sleep", "1000"])
much = b"x" * (1 << 27)
print(os.getpid(), flush=True)
signal.pause()
"""


@contextlib.contextmanager
def process(program, *arguments):
    with subprocess.Popen(
        [sys.executable, "-c", program, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=str(Path(envy.__file__).parents[1]),
    ) as child:
        try:
            yield child
        finally:
            child.kill()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "locks" / "local.gn@r0-0123456789abcdef.lock"


def test_excludes_other_processes(path):
    """While a process has the lock, no other gets it; after the release, the next one does."""
    with process(HOLD + UNTIL_TOLD, path) as other:
        assert other.stdout.readline() == "held\n"
        assert not FileLock(path).try_acquire()
        other.stdin.close()
        lock = FileLock(path)
        lock.acquire()
        assert lock.is_locked
        lock.release()


def test_excludes_within_a_process(path):
    """Two locks of one process exclude each other, as those of two processes do."""
    one, other = FileLock(path), FileLock(path)
    assert one.try_acquire()
    assert not other.try_acquire()
    one.release()
    assert other.try_acquire()
    other.release()


def test_excludes_threads(path):
    """Waiting threads get the lock one after the other."""
    inside, most = [], []

    def work():
        lock = FileLock(path)
        for _ in range(20):
            lock.acquire()
            inside.append(None)
            most.append(len(inside))
            inside.pop()
            lock.release()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(most) == 1
    assert len(most) == 160


def test_excludes_many_processes(path, tmp_path):
    """Processes that change a file under the lock lose no change."""
    program = """if True:
        import sys
        from pathlib import Path
        from envy.cache.lock import FileLock
        counter = Path(sys.argv[2])
        for _ in range(50):
            lock = FileLock(sys.argv[1])
            lock.acquire()
            counter.write_text(str(int(counter.read_text()) + 1))
            lock.release()
        """
    counter = tmp_path / "counter"
    counter.write_text("0")
    with contextlib.ExitStack() as stack:
        workers = [stack.enter_context(process(program, path, counter)) for _ in range(4)]
        assert [worker.wait() for worker in workers] == [0] * 4
    assert counter.read_text() == "200"


def test_ends_with_its_process(path):
    """The lock of a killed process is free at once."""
    with process(HOLD + UNTIL_TOLD, path) as other:
        other.stdout.readline()
        other.kill()
        other.wait()
        lock = FileLock(path)
        assert lock.try_acquire()
        lock.release()


def test_children_do_not_keep_it(path):
    """A child that outlives its killed parent does not keep the lock."""
    child = "import subprocess\nprint(subprocess.Popen(['sleep', '1000']).pid, flush=True)\n"
    with process(HOLD + child + UNTIL_TOLD, path) as other:
        other.stdout.readline()
        pid = int(other.stdout.readline())
        other.kill()
        other.wait()
        lock = FileLock(path)
        assert lock.try_acquire()
        lock.release()
        os.kill(pid, signal.SIGKILL)


def test_orphans_have_ended(path):
    """The lock of a dead owner is acquired when the groups that it ran have ended."""
    with process(HOLD + RUN_GROUP + UNTIL_TOLD, path, WORKER) as other:
        assert other.stdout.readline() == "held\n"
        assert int(other.stdout.readline())
        other.kill()
        other.wait()
        lock = FileLock(path)
        assert lock.try_acquire()
        os.set_blocking(other.stdout.fileno(), False)
        # The end of the file: no process has the other end of the pipe open.
        assert os.read(other.stdout.fileno(), 1) == b""
        lock.release()


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs /proc")
def test_orphans_that_were_not_recorded(path):
    """A process that its owner had not recorded before it died is ended by its mark."""
    program = """if True:
        import os, subprocess, sys
        from envy.cache.lock import FileLock
        lock = FileLock(sys.argv[1])
        assert lock.try_acquire()
        child = subprocess.Popen(["sleep", "600"], env={**os.environ, **lock.mark()},
                                 start_new_session=True, stdout=subprocess.DEVNULL)
        other = subprocess.Popen(["sleep", "600"], start_new_session=True,
                                 stdout=subprocess.DEVNULL)
        print(child.pid, other.pid, flush=True)
        os._exit(0)
        """
    run = subprocess.run(
        [sys.executable, "-c", program, str(path)],
        stdout=subprocess.PIPE,
        check=True,
        cwd=str(Path(envy.__file__).parents[1]),
    )
    child, other = map(int, run.stdout.split())
    lock = FileLock(path)
    assert lock.try_acquire()
    lock.release()
    try:
        assert Path(f"/proc/{other}/cmdline").read_bytes()
        with contextlib.suppress(FileNotFoundError):
            assert not Path(f"/proc/{child}/cmdline").read_bytes()
    finally:
        os.kill(other, signal.SIGKILL)


def test_other_process_of_the_same_number(path):
    """A group whose number was reused is left alone."""
    with process(HOLD + RUN_GROUP + UNTIL_TOLD, path, WORKER, "long ago") as other:
        assert other.stdout.readline() == "held\n"
        group = int(other.stdout.readline())
        other.kill()
        other.wait()
        lock = FileLock(path)
        assert lock.try_acquire()
        lock.release()
        os.set_blocking(other.stdout.fileno(), False)
        with pytest.raises(BlockingIOError):  # not the end: the other end is still open
            os.read(other.stdout.fileno(), 1)
        os.killpg(group, signal.SIGKILL)


def test_group_that_ended_is_forgotten(path):
    """A group that has ended is removed from the record."""
    lock = FileLock(path)
    lock.acquire()
    lock.record_group(1234, "then")
    assert lock.owner().groups == {1234: "then"}
    lock.record_group(1235, None)
    lock.forget_group(1234)
    lock.forget_group(99)
    assert lock.owner().groups == {}
    lock.release()


def test_own_group_is_never_ended(path):
    """A record that names our own group, or init, ends no process."""
    path.parent.mkdir()
    own = os.getpgrp()
    groups = {str(group): process_start_time(group) for group in (0, 1, own)}
    row = {"pid": 1, "start_time": "", "command": "", "since": 0, "groups": groups}
    path.write_text(json.dumps(row) + "\n")
    lock = FileLock(path)
    assert lock.try_acquire()
    lock.release()


def test_owner(path):
    """A held lock records its owner's process, start of holding and command."""
    with process(HOLD + UNTIL_TOLD, path) as other:
        other.stdout.readline()
        owner = FileLock(path).owner()
        assert owner.pid == other.pid
        assert owner.start_time == process_start_time(other.pid)
        assert owner.command.startswith("-c")
        assert f"process {other.pid} since " in str(owner)


def test_no_owner(path):
    """A lock that was never acquired, or was released, has no owner; its file stays."""
    lock = FileLock(path)
    assert lock.owner() is None
    lock.acquire()
    lock.release()
    assert lock.owner() is None
    assert path.exists()


@pytest.mark.parametrize("content", [b"\0" * 50, b"{", b"[]\n", b'{"pid": "x"}\n', b"\xff\xff"])
def test_damaged_record(path, content):
    """A damaged record does not prevent acquiring the lock."""
    path.parent.mkdir()
    path.write_bytes(content)
    lock = FileLock(path)
    assert lock.owner() is None
    assert lock.try_acquire()
    assert lock.owner().pid == os.getpid()
    lock.release()


def test_longer_record_of_a_dead_owner(path):
    """A shorter record replaces a longer one completely."""
    path.parent.mkdir()
    path.write_bytes(b"x" * 10_000)
    lock = FileLock(path)
    lock.acquire()
    assert json.loads(path.read_text())["pid"] == os.getpid()
    lock.release()


def is_waited_for(path):
    number = f":{path.stat().st_ino} "
    lines = Path("/proc/locks").read_text().splitlines()
    return any("->" in line and number in line for line in lines)


@pytest.mark.skipif(not Path("/proc/locks").exists(), reason="waiters cannot be seen here")
def test_waiter_on_a_removed_file(path):
    """If the file is removed, a waiting process and a new one do not both get the lock."""
    first, newcomer, waiter = FileLock(path), FileLock(path), FileLock(path)
    first.acquire()
    with_newcomer = []

    def wait():
        waiter.acquire()
        with_newcomer.append(newcomer.is_locked)
        waiter.release()

    thread = threading.Thread(target=wait)
    thread.start()
    while not is_waited_for(path):
        os.sched_yield()
    path.unlink()
    assert newcomer.try_acquire()
    first.release()
    while not (is_waited_for(path) or with_newcomer):
        os.sched_yield()
    newcomer.release()
    thread.join()
    assert with_newcomer == [False]


@pytest.mark.skipif(not Path("/proc/locks").exists(), reason="waiters cannot be seen here")
def test_waiter_on_a_file_that_its_holder_removed(path):
    """If the holder removes the file, a waiting process gets the lock of a new file, alone."""
    holder, waiter, newcomer = FileLock(path), FileLock(path), FileLock(path)
    holder.acquire()
    had = []

    def wait():
        waiter.acquire()
        had.append(path.stat().st_ino)
        had.append(newcomer.try_acquire())
        waiter.release()

    thread = threading.Thread(target=wait)
    thread.start()
    while not is_waited_for(path):
        os.sched_yield()
    removed = path.stat().st_ino
    keep = path.open()  # so that no new file gets its number
    holder.remove()
    thread.join()
    keep.close()
    assert had[0] != removed
    assert had[1] is False
    assert not holder.is_locked


def test_excludes_while_the_file_is_removed_again_and_again(path, tmp_path):
    """Processes lose no change under the lock, even if a third of them remove its file."""
    program = """if True:
        import sys
        from pathlib import Path
        from envy.cache.lock import FileLock
        counter = Path(sys.argv[2])
        for number in range(200):
            lock = FileLock(sys.argv[1])
            lock.acquire()
            counter.write_text(str(int(counter.read_text()) + 1))
            lock.remove() if number % 3 == 0 else lock.release()
        """
    counter = tmp_path / "counter"
    counter.write_text("0")
    with contextlib.ExitStack() as stack:
        workers = [stack.enter_context(process(program, path, counter)) for _ in range(6)]
        assert [worker.wait() for worker in workers] == [0] * 6
    assert counter.read_text() == "1200"


def test_removing_a_lock_that_is_not_held(path):
    """Only a holder removes the file."""
    lock, other = FileLock(path), FileLock(path)
    lock.acquire()
    other.remove()
    assert path.exists()
    lock.remove()
    assert not path.exists()


def test_slot_is_free_while_waiting(path):
    """Waiting for a lock does not keep other threads from running."""
    slot, lock, began = InterpreterSlot(), FileLock(path), threading.Event()
    lock.acquire()

    def wait():
        with slot.running():
            began.set()
            other = FileLock(path)
            other.acquire()
            other.release()

    thread = threading.Thread(target=wait)
    thread.start()
    began.wait()
    with slot.running():
        lock.release()
    thread.join()


def test_cancelled_while_waiting(path):
    """A lock that is granted after the run was cancelled is released at once."""
    lock, asked, cancelled = FileLock(path), threading.Event(), threading.Event()
    lock.acquire()
    ended = []

    def was_cancelled():
        answer = cancelled.is_set()
        asked.set()
        return answer

    def wait():
        other = FileLock(path)
        with pytest.raises(Cancelled):
            other.acquire(was_cancelled)
        ended.append(other.is_locked)

    thread = threading.Thread(target=wait)
    thread.start()
    asked.wait()  # it was asked once, found the lock taken, and waits from here on
    cancelled.set()
    lock.release()
    thread.join()
    assert ended == [False]
    assert lock.try_acquire()
    lock.release()


def test_cancelled_before_waiting(path):
    """No wait begins in a cancelled run."""
    lock = FileLock(path)
    lock.acquire()
    with pytest.raises(Cancelled):
        FileLock(path).acquire(lambda: True)
    lock.release()


def test_thousands_are_not_open_at_once(tmp_path):
    """A released lock has no descriptor."""
    locks = [FileLock(tmp_path / str(number)) for number in range(2000)]
    with nothing_left_open():
        for lock in locks:
            assert lock.try_acquire()
            lock.release()


def test_not_reentrant(path):
    """Acquiring a lock twice is a bug, which is reported instead of waited for."""
    lock = FileLock(path)
    lock.acquire()
    with pytest.raises(InternalError):
        lock.acquire()
    lock.release()
    lock.release()


def test_locks_folder_that_cannot_be_created(tmp_path):
    """If a lock file cannot be created, the error names it."""
    (tmp_path / "locks").write_text("x")
    with pytest.raises(CacheError, match="cannot take a lock"):
        FileLock(tmp_path / "locks" / "lock").try_acquire()
