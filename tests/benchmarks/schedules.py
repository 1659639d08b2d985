"""`make bench-schedules`: how close syncs come to a list schedule that knows all durations.

    python tests/benchmarks/schedules.py [--graphs N | --quick] [--at-once N] [--json FILE]

200 graphs take a quarter of an hour, five at once; they mostly sleep. Nothing else should run,
since delays on a busy machine count against envy.

Each graph is synced twice: first to record its durations, then with everything except the durations
removed. The second run is measured: its makespan, from the start of the first script to the end of
the last, and the wall time of the whole command, including start-up and resolution. Both are
compared with a list schedule (longest remaining path first, only the sleeps of the scripts, no
overhead) and with the lower bound max(critical path, work / jobs).
"""

import argparse
import heapq
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from graphs import edges_of, write_recipes

SHAPES = ("random", "window", "layers")
JOBS = (2, 4, 8)
JOBS_TO_REMEMBER = 16  # the first run only records durations, so it may be fast
KEPT = "durations"  # the folder of recorded durations, below the cache root
MEDIAN_MARK, WORST_MARK = 1.05, 1.15


@dataclass(frozen=True)
class Case:
    """One graph and the number of jobs."""

    shape: str
    count: int
    jobs: int
    seed: int

    @property
    def needs(self):
        """The dependencies of each recipe, by number."""
        return list(edges_of(self.shape, self.count, seed=self.seed))

    @property
    def seconds(self):
        """The seconds that the script of each recipe sleeps."""
        rng = random.Random(self.seed + 1)
        return [round(rng.uniform(0.05, 0.5), 3) for _ in range(self.count)]


@dataclass(frozen=True)
class Outcome:
    """The results of a case, in seconds."""

    case: Case
    listed: float  # the list schedule
    bound: float
    makespan: float
    wall: float
    cpu: float

    def as_json(self):
        """Return plain data."""
        return asdict(self)


def cases(count):
    """Return `count` cases: shapes and jobs in turn, sizes and edges at random."""
    rng = random.Random(5)
    return [
        Case(
            shape=SHAPES[number % 3],
            count=round(30 * 10 ** rng.random()),  # as many from 30 to 95 as from 95 to 300
            jobs=JOBS[number // 3 % 3],
            seed=number,
        )
        for number in range(count)
    ]


def remaining_paths(needs, seconds):
    """Return, for each task, the length of the longest chain of tasks that starts with it."""
    after = [0.0] * len(needs)
    for number in reversed(range(len(needs))):  # the dependencies of a task have smaller numbers
        for need in needs[number]:
            after[need] = max(after[need], after[number] + seconds[number])
    return [one + own for one, own in zip(after, seconds, strict=True)]


def list_schedule(needs, seconds, jobs):
    """Return the makespan of a greedy schedule, longest remaining path first."""
    path = remaining_paths(needs, seconds)
    dependents = [[] for _ in needs]
    for number, wanted in enumerate(needs):
        for need in wanted:
            dependents[need].append(number)
    missing = [len(wanted) for wanted in needs]
    ready = [(-path[number], number) for number, left in enumerate(missing) if not left]
    heapq.heapify(ready)
    running = []
    now = 0.0
    while ready or running:
        while ready and len(running) < jobs:
            number = heapq.heappop(ready)[1]
            heapq.heappush(running, (now + seconds[number], number))
        now, ended = heapq.heappop(running)
        for dependent in dependents[ended]:
            missing[dependent] -= 1
            if not missing[dependent]:
                heapq.heappush(ready, (-path[dependent], dependent))
    return now


def measure(case, folder):
    """Sync twice, and measure the second run, which uses the durations that the first recorded."""
    seconds, needs = case.seconds, case.needs
    project, cache = folder / "project", folder / "cache"
    # With a fetch that does nothing, as in the recipes of similar measurements.
    bodies = [
        f'fetch = function(ctx) end\ninstall = "sleep {one:.3f}; echo {number} > out.txt"'
        for number, one in enumerate(seconds)
    ]
    write_recipes(project, needs, bodies)
    envy = str(Path(sysconfig.get_path("scripts")) / "envy")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ENVY_")}
    environment = {**kept, "ENVY_CACHE_ROOT": str(cache)}

    def sync(jobs):
        started = time.perf_counter()
        process = subprocess.Popen(
            [envy, "sync", "--quiet", "--jobs", str(jobs)],
            cwd=project,
            env=environment,
            stdout=subprocess.DEVNULL,
        )
        _pid, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise SystemExit(f"{case}: exit code {process.returncode}")
        return time.perf_counter() - started, usage.ru_utime + usage.ru_stime

    sync(JOBS_TO_REMEMBER)
    for path in cache.iterdir():
        if path.name != KEPT:
            shutil.rmtree(path)
    wall, cpu = sync(case.jobs)
    ends = {
        int(path.read_text()): path.stat().st_mtime_ns / 1e9
        for path in cache.glob("assets/*/*/asset/out.txt")
    }
    first = min(ended - seconds[number] for number, ended in ends.items())
    return Outcome(
        case=case,
        listed=list_schedule(needs, seconds, case.jobs),
        bound=max(*remaining_paths(needs, seconds), sum(seconds) / case.jobs),
        makespan=max(ends.values()) - first,
        wall=wall,
        cpu=cpu,
    )


def main():
    """Run the cases, print a table, and save the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--graphs", type=int, default=200, help="how many graphs")
    parser.add_argument("--quick", action="store_true", help="18 graphs")
    parser.add_argument("--at-once", type=int, default=5, help="so many graphs beside each other")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--folder", type=Path, help="where projects and caches are made")
    given = parser.parse_args()
    place = given.folder or (Path("/dev/shm") if Path("/dev/shm").is_dir() else None)
    chosen = cases(18 if given.quick else given.graphs)
    outcomes = []

    def one(case):
        with tempfile.TemporaryDirectory(prefix="envy-schedule-", dir=place) as folder:
            return measure(case, Path(folder))

    print_head()
    with ThreadPoolExecutor(given.at_once) as pool:
        for outcome in pool.map(one, chosen):
            outcomes.append(outcome)
            print_row(outcome)
    print_summary(outcomes)
    if given.json:
        rows = [outcome.as_json() for outcome in outcomes]
        given.json.write_text(json.dumps(rows, indent=1) + "\n")


def print_head():
    """Print the names of the columns."""
    print(f"{'graph':22} {'bound':>7} {'listed':>7} {'span':>7} {'wall':>7} {'cpu':>6}", end="")
    print("  span/listed wall/listed span/bound wall/bound", flush=True)


def print_row(outcome):
    """Print the row of one graph."""
    case = outcome.case
    name = f"{case.count} {case.shape}, jobs {case.jobs}"
    print(
        f"{name:22} {outcome.bound:7.2f} {outcome.listed:7.2f} {outcome.makespan:7.2f} "
        f"{outcome.wall:7.2f} {outcome.cpu:6.2f}  {outcome.makespan / outcome.listed:11.3f} "
        f"{outcome.wall / outcome.listed:11.3f} {outcome.makespan / outcome.bound:10.3f} "
        f"{outcome.wall / outcome.bound:10.3f}",
        flush=True,
    )


def print_summary(outcomes):
    """Print the median and the worst of each ratio, with the marks."""
    ratios = {
        "makespan to list schedule": [one.makespan / one.listed for one in outcomes],
        "wall to list schedule": [one.wall / one.listed for one in outcomes],
        "makespan to lower bound": [one.makespan / one.bound for one in outcomes],
        "wall to lower bound": [one.wall / one.bound for one in outcomes],
        "list schedule to lower bound": [one.listed / one.bound for one in outcomes],
    }
    print(f"\n{len(outcomes)} graphs; marks: {MEDIAN_MARK} in the median, {WORST_MARK} at worst")
    for name, values in ratios.items():
        print(f"{name:30} median {statistics.median(values):.3f}  worst {max(values):.3f}")


if __name__ == "__main__":
    main()
