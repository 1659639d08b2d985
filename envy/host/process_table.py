"""The processes of this machine: whether they are alive, their start times and their groups.

Owns every question about a process that is not a child of this one, and the waits for such
processes. Children are in `envy.host.children`.

A process number is reused by the system. A number with its start time names one process forever;
where a process is signalled, a descriptor of it (pidfd) is opened before it is looked at again.
"""

import contextlib
import errno
import functools
import os
import select
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

# States in /proc/PID/stat of a process that has ended: one that waits to be reaped, and a dead one.
_ENDED = frozenset({"Z", "X"})
_AT_WORK = frozenset({"R", "D"})


def is_alive(pid: int) -> bool:
    """Return whether a process with this number runs; one that waits to be reaped does not."""
    if pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError as error:
        return error.errno == errno.EPERM
    fields = _stat_fields(pid)
    return not fields or fields[0] not in _ENDED


def process_start_time(pid: int) -> str | None:
    """Return when a process started, as text to compare; None when there is no such process."""
    if pid <= 0:
        return None
    if sys.platform != "linux":
        return _start_time_by_ps(pid)
    fields = _stat_fields(pid)
    # Ticks since boot: without the name of the boot, two boots could share a start time.
    return f"{_boot()}:{fields[19]}" if len(fields) > 19 else None


def members_of_group(group: int) -> tuple[tuple[int, str], ...]:
    """Return number and name of each live process in a group or its session, except the leader.

    Empty where the system has no /proc to read this from.
    """
    return tuple(sorted((pid, name) for pid, name, _state in _members(group)))


def is_group_at_work(group: int) -> bool:
    """Return whether a member of a group or its session, except the leader, computes or waits for
    a disk or a processor; False where the system has no /proc.
    """
    return any(state in _AT_WORK for _pid, _name, state in _members(group))


def _members(group: int) -> Iterator[tuple[int, str, str]]:
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            head, _, tail = (entry / "stat").read_text(errors="replace").rpartition(")")
            state, _parent, its_group, session = tail.split()[:4]
            alive = state not in _ENDED and entry.name != str(group)
            if alive and str(group) in {its_group, session}:
                yield int(entry.name), head.partition("(")[2], state


if sys.platform == "darwin":

    def wait_for_group(group: int) -> None:
        """Block until the leader of a process group has ended; other members cannot be listed."""
        queue = select.kqueue()
        with contextlib.closing(queue), contextlib.suppress(ProcessLookupError):
            ended = select.kevent(
                group, select.KQ_FILTER_PROC, select.KQ_EV_ADD, select.KQ_NOTE_EXIT
            )
            queue.control([ended], 1)

    def kill_marked(mark: bytes, *, after: int = 0) -> None:
        """Do nothing: the environment of another process cannot be read here."""
        del mark, after

    def newest() -> int:
        """Return 0: unknown here."""
        return 0

else:

    def wait_for_group(group: int) -> None:
        """Block until every member of a process group has ended."""
        for pid in _all_numbers():
            if not _works_in(pid, group):
                continue
            with _watched(pid) as watch:
                # After the descriptor was opened the number cannot change its meaning.
                if watch is not None and _works_in(pid, group):
                    _wait_for_end(watch)

    def kill_marked(mark: bytes, *, after: int = 0) -> None:
        """Kill every process with `mark` (NAME=value) in its first environment; wait for its end.

        With `after`, only processes that began when `newest()` had returned this number, or later.
        Repeated until none is left: one that has not ended yet may have started another.
        """
        while found := [pid for pid in _numbers_after(after) if _has_mark(pid, mark)]:
            for pid in found:
                with _watched(pid) as watch, contextlib.suppress(ProcessLookupError):
                    if watch is not None and _has_mark(pid, mark):
                        signal.pidfd_send_signal(watch, signal.SIGKILL)
                        _wait_for_end(watch)

    def newest() -> int:
        """Return the number of the process that was started last."""
        try:
            return int(Path("/proc/loadavg").read_text(encoding="ascii").split()[4])
        except (OSError, ValueError, IndexError):
            return 0

    def _numbers_after(first: int) -> list[str]:
        numbers = _all_numbers()
        # The system begins again with low numbers after the highest.
        return [n for n in numbers if int(n) > first] if newest() >= first else numbers

    @contextlib.contextmanager
    def _watched(pid: str) -> Iterator[int | None]:
        """Yield a descriptor of a process; None when it has ended."""
        try:
            watch = os.pidfd_open(int(pid))
        except ProcessLookupError:
            yield None
            return
        try:
            yield watch
        finally:
            os.close(watch)

    def _wait_for_end(watch: int) -> None:
        ended = select.poll()
        ended.register(watch, select.POLLIN)
        ended.poll()


def marked(mark: bytes) -> list[int]:
    """Return the processes with `mark` (NAME=value) in their first environment, where it is known.

    This process is not among them.
    """
    try:
        return [int(pid) for pid in _all_numbers() if _has_mark(pid, mark)]
    except OSError:  # no /proc
        return []


def open_files(pid: int) -> list[str]:
    """Return the paths of the files that a process has open; [] if they cannot be read."""
    found = []
    with contextlib.suppress(OSError):
        for name in os.listdir(f"/proc/{pid}/fd"):  # noqa: PTH208
            with contextlib.suppress(OSError):
                found.append(os.readlink(f"/proc/{pid}/fd/{name}"))  # noqa: PTH115
    return found


def _all_numbers() -> list[str]:
    return [name for name in os.listdir("/proc") if name.isdigit()]  # noqa: PTH208


_EXEC_LOOKS = 1000  # some ten milliseconds; an exec takes a fraction of one


def _has_mark(pid: str, mark: bytes) -> bool:
    """Return whether `mark` is in a process's first environment; False if it cannot be read."""
    if int(pid) == os.getpid():
        return False
    try:
        for _ in range(_EXEC_LOOKS):
            with open(f"/proc/{pid}/environ", "rb") as file:  # noqa: PTH123
                found = file.read()
            if found:
                return mark in found.split(b"\0")
            # Empty while the process executes another program; always, if it has ended or is one
            # of the kernel's, which have no program.
            os.readlink(f"/proc/{pid}/exe")  # noqa: PTH115
            os.sched_yield()
    except OSError:
        pass
    return False


def _works_in(pid: str, group: int) -> bool:
    """Return whether a process belongs to a group and has not ended."""
    fields = _stat_fields(int(pid))
    return len(fields) > 2 and int(fields[2]) == group and fields[0] not in _ENDED


def _stat_fields(pid: int) -> list[str]:
    """Return the fields of /proc/PID/stat from the state on; empty when it cannot be read."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    # The second field is the program's name in parentheses, and may itself contain any of them.
    return text[text.rindex(")") + 1 :].split()


@functools.cache
def _boot() -> str:
    """Return the random name of this boot; empty where the kernel gives none."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _start_time_by_ps(pid: int) -> str | None:
    import subprocess

    answer = subprocess.run(
        ["ps", "-o", "lstart=", "-p", str(pid)],
        env={"PATH": os.defpath, "LC_ALL": "C"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    return answer.stdout.strip() or None
