"""`make bench`: what envy costs, as ratios to floors measured in the same run.

    python tests/benchmarks/bench.py [--quick] [--json FILE] [--compare OLD.json] [--folder DIR]

Floors: a bare `python -c pass` for start-up; making as many Lua states and running as many recipe
files, with nothing around it, for a cold sync. Put the folder on a memory file system to measure
envy and not the disk.
"""

import argparse
import json
import os
import shutil
import sys
import sysconfig
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from graphs import write_project
from measure import median_of, run_once

PYTHON_FLOOR = "python -c pass"
LUA_FLOOR = """
import sys
from pathlib import Path
from lupa import lua54
states = []
for path in sorted(Path(sys.argv[1]).glob("*.lua")):
    state = lua54.LuaRuntime(encoding=None, register_eval=False, register_builtins=False)
    state.execute(path.read_bytes())
    states.append(state)
"""
FULL = [
    ("random", 100),
    ("random", 500),
    ("random", 1000),
    ("random", 2000),
    ("random", 5000),
    ("random", 10000),
    ("chain", 500),
    ("chain", 1000),
    ("chain", 2000),
    ("chain", 10000),
    ("star", 1000),
    ("ladder", 1000),
    ("layers", 1000),
]
QUICK = [("random", 100), ("random", 500), ("random", 2000), ("chain", 500), ("chain", 2000)]


def main():
    """Measure, print a table, and write the figures down."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="a selection, under two minutes")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--compare", type=Path, help="print ratios to the figures of this file")
    parser.add_argument("--folder", type=Path, help="where projects and caches are made")
    given = parser.parse_args()
    place = given.folder or (Path("/dev/shm") if Path("/dev/shm").is_dir() else None)
    rows = []
    with tempfile.TemporaryDirectory(prefix="envy-bench-", dir=place) as folder:
        bench = Bench(Path(folder), runs=3 if given.quick else 5)
        rows += bench.start_up()
        for shape, count in QUICK if given.quick else FULL:
            rows += bench.graph(shape, count)
        rows += bench.growth(rows)
    print_table(rows, json.loads(given.compare.read_text()) if given.compare else [])
    if given.json:
        given.json.write_text(json.dumps(rows, indent=1) + "\n")


class Bench:
    """Runs the cases in one folder."""

    def __init__(self, folder, *, runs):
        self.folder = folder
        self.runs = runs
        self.envy = str(Path(sysconfig.get_path("scripts")) / "envy")
        kept = {name: value for name, value in os.environ.items() if not name.startswith("ENVY_")}
        self.environment = {**kept, "ENVY_CACHE_ROOT": str(folder / "cache")}

    def median(self, argv, *, cwd=None, before=lambda: None):
        """The middle one of several runs."""
        runs = []
        for _ in range(self.runs):
            before()
            runs.append(run_once(argv, cwd=cwd or self.folder, environment=self.environment))
        return median_of(runs)

    def start_up(self):
        """What `envy version` costs over a bare interpreter."""
        floor = self.median([sys.executable, "-c", "pass"])
        version = self.median([self.envy, "version"])
        return [row(PYTHON_FLOOR, floor), row("envy version", version, floor, PYTHON_FLOOR)]

    def graph(self, shape, count):
        """Cold sync, warm sync, a full sync that finds all cached, and asking for one package."""
        project = self.folder / "project"
        cache = self.folder / "cache"
        shutil.rmtree(project, ignore_errors=True)
        write_project(project, shape, count)
        name = f"{count} {shape}"
        lua = self.median([sys.executable, "-c", LUA_FLOOR, str(project / "recipes")])
        python = self.median([sys.executable, "-c", "pass"])
        sync = [self.envy, "sync", "--quiet", "--jobs", "2"]

        def empty():
            shutil.rmtree(cache, ignore_errors=True)

        def forget():
            shutil.rmtree(cache / "resolved", ignore_errors=True)

        cold = self.median(sync, cwd=project, before=empty)
        cached = self.median(sync, cwd=project, before=forget)
        warm = self.median(sync, cwd=project)
        asset = self.median([self.envy, "asset", f"n{count - 1}"], cwd=project)
        return [
            row(f"{name}: Lua floor", lua),
            row(f"{name}: cold sync", cold, lua, "Lua floor"),
            row(f"{name}: all cached, no answer kept", cached, lua, "Lua floor"),
            row(f"{name}: warm sync", warm, python, PYTHON_FLOOR),
            row(f"{name}: warm asset", asset, python, PYTHON_FLOOR),
        ]

    def growth(self, rows):
        """How the cost of a cold sync grows from 500 to 2,000 recipes."""
        cold = {line["case"]: line for line in rows}
        grown = []
        for shape in ("random", "chain"):
            small, large = (cold.get(f"{n} {shape}: cold sync") for n in (500, 2000))
            if small and large:
                ratio = large["cpu"] / small["cpu"]
                grown.append({"case": f"{shape}: CPU of 2,000 to that of 500", "ratio": ratio})
        return grown


def row(case, figures, floor=None, against=""):
    """One line of the table."""
    line = {"case": case, **figures.as_json()}
    if floor is not None:
        line |= {"ratio": figures.cpu / floor.cpu, "against": against}
    return line


def print_table(rows, old):
    """A line for each case; with older figures, the ratio of CPU to those."""
    before = {line["case"]: line for line in old}
    print(f"{'case':44} {'cpu s':>7} {'wall s':>7} {'MiB':>5} {'switches':>8}  ratio of CPU")
    for line in rows:
        cells = f"{line['case']:44}"
        if "cpu" in line:
            cells += f" {line['cpu']:7.3f} {line['wall']:7.3f} {line['rss']:5.0f}"
            cells += f" {line['switches']:8d}"
        if "ratio" in line:
            cells += (
                f"  {line['ratio']:.2f} {('to ' + line['against']) if 'against' in line else ''}"
            )
        known = before.get(line["case"], {})
        if "cpu" in line and "cpu" in known:
            cells += f"  ({line['cpu'] / known['cpu']:.2f} of before)"
        print(cells)


main()
