"""`make bench`: the costs of envy, as ratios to floors measured in the same run.

    python tests/benchmarks/bench.py [PART…] [--quick] [--disk | --folder DIR]
                                     [--json FILE] [--compare OLD.json]

Prints a table and writes it to a file. Wall times are reliable only on an otherwise idle machine;
CPU times tolerate some other load. The location of the cache matters: in a memory file system only
the work of envy is measured, on a disk also the cost of the disk.
"""

import argparse
import compileall
import importlib
import json
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from pathlib import Path

from measure import Failed, Meter
from report import Report

HERE = Path(__file__).resolve().parent
QUICK = (
    "startup",
    "graphs",
    "jobs",
    "transports",
    "archives",
    "packages",
    "arrivals",
    "hashing",
    "publish",
)
# `native` installs and starts zig, and the scripts of a schedule sleep.
PARTS = (*QUICK, "native", "schedules")
KEPT = HERE.parent.parent / ".bench"
MEMORY = Path("/dev/shm")
CACHE = "cache"


def main():
    """Measure, print and save; exit with 1 if a mark is missed, with 2 if a measurement failed."""
    given = parse()
    before = json.loads(given.compare.read_text()) if given.compare else {"rows": []}
    report = Report(before={row["case"]: row for row in before["rows"]})
    place = folder_of(given)
    failed = []
    started = time.time()
    about = machine(place)
    print("; ".join(f"{name} {value}" for name, value in about.items()))
    with (
        tempfile.TemporaryDirectory(prefix="envy-bench-", dir=place) as folder,
        meter_in(Path(folder)) as meter,
    ):
        for name in given.parts:
            part = importlib.import_module(f"part_{name}")
            report.part(f"{name}: {part.__doc__.splitlines()[0].partition(': ')[2]}")
            try:
                part.run(Bench(meter, is_quick=given.quick), report)
            except (Failed, subprocess.CalledProcessError) as error:
                print(f"error: {name}: {error}", file=sys.stderr)
                failed.append(name)
            except KeyboardInterrupt:
                print(f"\n{name}: interrupted", file=sys.stderr)
                failed.append(name)  # earlier measurements are kept
                break
    report.print_marks()
    about |= {
        "seconds": round(time.time() - started),
        "quick": given.quick,
        "parts": given.parts,
        "failed": failed,
    }
    path = save(given, about, report)
    print(f"written to {path}")
    if failed:
        sys.exit(2)
    sys.exit(0 if all(mark["met"] for mark in report.marks) else 1)


def parse():
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}")
    parser.add_argument("--quick", action="store_true", help="a selection, under two minutes")
    parser.add_argument("--json", type=Path, help="write the figures here, not into .bench")
    parser.add_argument("--compare", type=Path, help="print ratios to the figures of this file")
    parser.add_argument("--folder", type=Path, help="where projects and caches are made")
    parser.add_argument("--disk", action="store_true", help="make them beside this checkout")
    given = parser.parse_args()
    if unknown := set(given.parts) - set(PARTS):
        parser.error(
            f"no part is called {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}"
        )
    given.parts = given.parts or list(QUICK if given.quick else PARTS)
    return given


def folder_of(given):
    """Return the folder for projects and caches, in a memory file system if there is one."""
    if given.folder:
        return given.folder
    if given.disk:
        KEPT.mkdir(exist_ok=True)
        return KEPT
    return MEMORY if MEMORY.is_dir() else None


def machine(place):
    """Return a description of the machine, for the report."""
    where = place or Path(tempfile.gettempdir())
    kind = subprocess.run(
        ["stat", "-f", "-c", "%T", where], capture_output=True, text=True, check=False
    )
    return {
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count(),
        "load": " ".join(f"{one:.1f}" for one in os.getloadavg()),
        "on": kind.stdout.strip() or "unknown",
        "commit": _commit(),
    }


def _commit():
    found = subprocess.run(
        ["git", "describe", "--always", "--dirty"],
        cwd=HERE,
        capture_output=True,
        text=True,
        check=False,
    )
    return found.stdout.strip() or "unknown"


def save(given, about, report):
    """Write everything as JSON; return the path."""
    path = given.json
    if path is None:
        KEPT.mkdir(exist_ok=True)
        path = KEPT / f"{time.strftime('%Y%m%dT%H%M%S')}-{about['commit']}.json"
    figures = {"about": about, "rows": report.rows, "marks": report.marks}
    path.write_text(json.dumps(figures, indent=1) + "\n")
    return path


def meter_in(folder):
    """Return a meter whose environment sets no variable of envy except the cache root."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ENVY_")}
    # As after an installation with pip, so that no sync includes the time for compiling.
    kept.pop("PYTHONDONTWRITEBYTECODE", None)
    compileall.compile_dir(HERE.parent.parent / "envy", quiet=2)
    return Meter(folder, {**kept, "ENVY_CACHE_ROOT": str(folder / CACHE)})


class Bench:
    """The context of every part: a folder, the command line of envy, and the sizes to measure."""

    def __init__(self, meter, *, is_quick):
        self.meter = meter
        self.folder = meter.folder
        self.cache = meter.folder / CACHE
        self.envy = str(Path(sysconfig.get_path("scripts")) / "envy")
        self._is_quick = is_quick

    def choose(self, full, quick):
        """Return the size to measure: `quick` with --quick, otherwise `full`."""
        return quick if self._is_quick else full

    count = choose

    def fresh(self, name):
        """Return an empty folder."""
        self.remove(self.folder / name)
        (self.folder / name).mkdir()
        return self.folder / name

    def remove(self, path):
        """Remove a file or a folder, if it exists."""
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)

    def empty_cache(self):
        """Remove the cache."""
        self.remove(self.cache)

    def work(self, *words):
        """Return the command that does one piece of envy's work alone (see work.py)."""
        return [sys.executable, str(HERE / "work.py"), *map(str, words)]


if __name__ == "__main__":
    main()
