"""Measures whole processes, by the figures that the operating system reports at their end.

CPU, memory and context switches are exact and include the children that the process waited for;
the memory is that of the largest process. Open files and threads of the process itself are sampled
every two milliseconds, in a separate run so that sampling disturbs no other figure. Shorter peaks
are missed.
"""

import json
import statistics
import subprocess
import sys
from dataclasses import asdict, dataclass, replace
from pathlib import Path

SPAWNER = Path(__file__).parent / "spawner.py"


@dataclass(frozen=True)
class Figures:
    """CPU and wall time in seconds, memory in MiB, context switches; peaks if they were sampled."""

    cpu: float
    wall: float
    rss: float | None = None
    switches: int | None = None
    files: int | None = None
    threads: int | None = None

    def as_json(self):
        """Return plain data, without figures that were not measured."""
        return {name: value for name, value in asdict(self).items() if value is not None}


class Failed(Exception):
    """A measured program failed."""


def median_of(runs):
    """Return the median of each figure."""
    return Figures(
        cpu=statistics.median(run.cpu for run in runs),
        wall=statistics.median(run.wall for run in runs),
        rss=statistics.median(run.rss for run in runs),
        switches=round(statistics.median(run.switches for run in runs)),
    )


class Meter:
    """Measures programs, by default in one folder. Use it as a context manager."""

    def __init__(self, folder, environment):
        self.folder = folder
        self._environment = environment

    def __enter__(self):
        self._spawner = subprocess.Popen(
            [sys.executable, "-S", "-E", str(SPAWNER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self

    def __exit__(self, *_):
        self._spawner.communicate()

    def once(self, argv, *, cwd=None, look=False):
        """Run a program and return its figures."""
        request = {
            "argv": list(map(str, argv)),
            "cwd": str(cwd or self.folder),
            "environment": self._environment,
            "look": look,
        }
        self._spawner.stdin.write(json.dumps(request) + "\n")
        self._spawner.stdin.flush()
        answer = json.loads(self._spawner.stdout.readline())
        code, said = answer.pop("code"), answer.pop("said")
        if code:
            raise Failed(f"{' '.join(request['argv'])} exited {code}\n{said}")
        return Figures(**answer)

    def median(self, argv, *, runs, cwd=None, before=lambda: None, peaks=False):
        """Return the median of several runs; `before` is called before each."""
        [figures] = self.beside([argv], runs=runs, cwd=cwd, before=before)
        return self.with_peaks(figures, argv, cwd=cwd, before=before) if peaks else figures

    def beside(self, commands, *, runs, cwd=None, before=lambda: None):
        """Measure several programs in turn, so that a slow moment of the machine affects all."""
        found = [[] for _ in commands]
        for _ in range(runs):
            for rows, argv in zip(found, commands, strict=True):
                before()
                rows.append(self.once(argv, cwd=cwd))
        return [median_of(rows) for rows in found]

    def with_peaks(self, figures, argv, *, cwd=None, before=lambda: None):
        """Return the figures with peaks from one more run; unchanged if there is no /proc."""
        if not Path("/proc/self/fd").is_dir():
            return figures
        before()
        seen = self.once(argv, cwd=cwd, look=True)
        return replace(figures, files=seen.files, threads=seen.threads)
