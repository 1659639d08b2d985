"""Measuring a whole process: what the operating system says of it once it has ended.

CPU, memory and switches are exact, and count the children that it waited for; the memory is that
of the largest process. Open files and threads are looked at, in a run of its own so that the
looking disturbs no figure: every two milliseconds, of the process itself. A shorter peak goes
unseen.
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
    """CPU and wall in seconds, memory in MiB, context switches; peaks where they were looked at."""

    cpu: float
    wall: float
    rss: float | None = None
    switches: int | None = None
    files: int | None = None
    threads: int | None = None

    def as_json(self):
        """Plain data, without what was not looked at."""
        return {name: value for name, value in asdict(self).items() if value is not None}


class Failed(Exception):
    """A program that is measured did not end well."""


def median_of(runs):
    """The median of each figure."""
    return Figures(
        cpu=statistics.median(run.cpu for run in runs),
        wall=statistics.median(run.wall for run in runs),
        rss=statistics.median(run.rss for run in runs),
        switches=round(statistics.median(run.switches for run in runs)),
    )


class Meter:
    """Measures programs, by default in one folder; a context manager."""

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
        """Run a program to its end."""
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
        """The median of several runs, each after `before`."""
        [figures] = self.beside([argv], runs=runs, cwd=cwd, before=before)
        return self.with_peaks(figures, argv, cwd=cwd, before=before) if peaks else figures

    def beside(self, commands, *, runs, cwd=None, before=lambda: None):
        """Several programs in turn, so that whatever slows the machine slows all of them."""
        found = [[] for _ in commands]
        for _ in range(runs):
            for rows, argv in zip(found, commands, strict=True):
                before()
                rows.append(self.once(argv, cwd=cwd))
        return [median_of(rows) for rows in found]

    def with_peaks(self, figures, argv, *, cwd=None, before=lambda: None):
        """The figures, with peaks seen in one more run; without them where there is no /proc."""
        if not Path("/proc/self/fd").is_dir():
            return figures
        before()
        seen = self.once(argv, cwd=cwd, look=True)
        return replace(figures, files=seen.files, threads=seen.threads)
