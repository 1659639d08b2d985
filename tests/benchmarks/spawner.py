"""Runs programs for `measure`, one after the other, from a process of its own that stays small.

What a program may be said to have used at most counts from before it was loaded, when it still was
the process that started it; so that one must be no larger than a bare interpreter, or nearly.

Reads lines of JSON, {argv, cwd, environment, look}, and answers each with a line.
"""

import contextlib
import json
import os
import sys
import time

LOOK_EVERY = 0.002
NOWHERE = os.open(os.devnull, os.O_RDWR)


def run(argv, cwd, environment, look):
    """Run a program to its end; what the system says of it, and what was seen of it."""
    said = os.open(os.path.join(cwd, ".said"), os.O_RDWR | os.O_CREAT | os.O_TRUNC)
    os.chdir(cwd)
    actions = [
        (os.POSIX_SPAWN_DUP2, NOWHERE, 0),
        (os.POSIX_SPAWN_DUP2, NOWHERE, 1),
        (os.POSIX_SPAWN_DUP2, said, 2),
    ]
    seen = [0, 0]
    started = time.perf_counter()
    pid = os.posix_spawnp(argv[0], argv, environment, file_actions=actions)
    if look:
        while os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            look_at(pid, seen)
            time.sleep(LOOK_EVERY)
    _pid, status, usage = os.wait4(pid, 0)
    wall = time.perf_counter() - started
    text = os.pread(said, 4000, max(0, os.fstat(said).st_size - 4000))
    os.close(said)
    os.unlink(os.path.join(cwd, ".said"))
    return {
        "code": os.waitstatus_to_exitcode(status),
        "said": text.decode("utf-8", "replace"),
        "cpu": usage.ru_utime + usage.ru_stime,
        "wall": wall,
        "rss": usage.ru_maxrss / 1024,
        "switches": usage.ru_nvcsw + usage.ru_nivcsw,
        "files": seen[0],
        "threads": seen[1],
    }


def look_at(pid, seen):
    """Count the open files and threads that a process has now."""
    for position, what in enumerate(("fd", "task")):
        with contextlib.suppress(OSError):  # it has just ended
            seen[position] = max(seen[position], len(os.listdir(f"/proc/{pid}/{what}")))


if __name__ == "__main__":
    for line in sys.stdin:
        print(json.dumps(run(**json.loads(line))), flush=True)
