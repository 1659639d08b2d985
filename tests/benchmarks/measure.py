"""Measuring a whole process: what the operating system says of it once it has ended."""

import os
import subprocess
import time
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Figures:
    """CPU and wall in seconds, memory in MiB; children are counted with the process."""

    cpu: float
    wall: float
    rss: float
    switches: int

    def as_json(self):
        """Plain data."""
        return asdict(self)


def run_once(argv, *, cwd, environment):
    """Run a program to its end; raises if it fails."""
    started = time.perf_counter()
    process = subprocess.Popen(
        argv, cwd=cwd, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    assert process.stderr is not None
    said = process.stderr.read()
    _pid, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{argv} exited {process.returncode}\n{said.decode(errors='replace')}")
    return Figures(
        cpu=usage.ru_utime + usage.ru_stime,
        wall=wall,
        rss=usage.ru_maxrss / 1024,
        switches=usage.ru_nvcsw + usage.ru_nivcsw,
    )


def median_of(runs):
    """The run whose CPU is in the middle."""
    return sorted(runs, key=lambda figures: figures.cpu)[len(runs) // 2]
