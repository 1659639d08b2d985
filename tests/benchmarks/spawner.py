"""Runs programs for `measure`, one after the other, from a separate process that stays small.

The peak memory of a program includes the time after the fork, when it was still a copy of the
process that started it. That process must therefore be hardly larger than a bare interpreter.

Reads lines of JSON, {argv, cwd, environment, look}, and answers each with a line.
"""

import contextlib
import json
import os
import sys
import time

SAMPLE_EVERY = 0.002
DEV_NULL = os.open(os.devnull, os.O_RDWR)


def run(argv, cwd, environment, look):
    """Run a program; return the figures of the system, and the sampled peaks."""
    said = os.open(os.path.join(cwd, ".said"), os.O_RDWR | os.O_CREAT | os.O_TRUNC)
    os.chdir(cwd)
    actions = [
        (os.POSIX_SPAWN_DUP2, DEV_NULL, 0),
        (os.POSIX_SPAWN_DUP2, DEV_NULL, 1),
        (os.POSIX_SPAWN_DUP2, said, 2),
    ]
    seen = [0, 0]
    started = time.perf_counter()
    pid = os.posix_spawnp(argv[0], argv, environment, file_actions=actions)
    if look:
        while os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            sample(pid, seen)
            time.sleep(SAMPLE_EVERY)
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


def sample(pid, seen):
    """Sample the number of open files and threads of a process."""
    for position, what in enumerate(("fd", "task")):
        with contextlib.suppress(OSError):  # it has just ended
            seen[position] = max(seen[position], len(os.listdir(f"/proc/{pid}/{what}")))


if __name__ == "__main__":
    for line in sys.stdin:
        print(json.dumps(run(**json.loads(line))), flush=True)
