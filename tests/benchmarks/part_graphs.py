"""Graphs of many recipes: cold, cached, warm, and one package of them.

The floor of a run that loads recipes is to create as many Lua states and run the files in them, and
nothing else. The floor of a warm run is a bare interpreter.
"""

import shutil
import sys

import marks
from graphs import write_project

JOBS = 2
FETCH_JOBS = 8  # envy's default
PYTHON = "python -c pass"
LUA = "the Lua states"
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
    (100, "random"), (100, "star"), (1000, "random"), (1000, "star"), (1000, "ladder"),
    (1000, "layers"), (1000, "chain"), (2000, "chain"), (5000, "random"), (5000, "chain"),
    (10000, "random"), (10000, "star"), (10000, "ladder"), (10000, "layers"), (10000, "chain"),
]  # fmt: skip
QUICK = [(100, "random"), (1000, "random"), (1000, "chain")]


def run(bench, report):
    """Measure every graph, then how the cost grows."""
    cold = {}
    for count, shape in bench.choose(FULL, QUICK):
        cold[count, shape] = _graph(bench, report, count, shape)
    small, large = cold.get((1000, "chain")), cold.get((10000, "chain"))
    if small and large:
        growth = large.cpu / small.cpu
        report.mark("chain of 10,000: CPU to that of 1,000", growth, marks.CHAIN_GROWTH)


def _graph(bench, report, count, shape):
    project = bench.fresh("project")
    bench.fresh("cache")
    write_project(project, shape, count)
    meter = bench.meter
    sync = [bench.envy, "sync", "--quiet", "--jobs", str(JOBS)]
    few = bench.count(5, 3) if count <= 1000 else (3 if count <= 2000 else 1)
    name = f"{count} {shape}"
    floor = [sys.executable, "-c", LUA_FLOOR, str(project / "recipes")]
    lua = report.floor(f"{name}: {LUA}", meter.median(floor, runs=few))

    def forget():
        shutil.rmtree(bench.cache / "resolved", ignore_errors=True)

    known = marks.KNOWN.get((count, shape), (None, None, None))
    cold = meter.median(sync, runs=few, cwd=project, before=bench.empty_cache, peaks=True)
    report.row(
        f"{name}: cold sync",
        cold,
        lua,
        against=LUA,
        known=(known[0], known[2]) if known[0] else None,
    )
    cached = meter.median(sync, runs=few, cwd=project, before=forget, peaks=True)
    report.row(f"{name}: all cached, no answer kept", cached, lua, against=LUA)
    _warm(bench, report, count, name, known, project)
    _mark(report, name, count, shape, cold)
    return cold


def _warm(bench, report, count, name, known, project):
    """Measure the commands with a stored answer, each compared with a bare interpreter."""
    meter = bench.meter
    python = [sys.executable, "-c", "pass"]
    cases = {
        "warm sync": [bench.envy, "sync", "--quiet", "--jobs", str(JOBS)],
        "warm asset, the last": [bench.envy, "asset", f"n{count - 1}"],
        "warm asset, the first": [bench.envy, "asset", "n0"],
    }
    for argv in cases.values():
        meter.median(argv, runs=1, cwd=project)  # the first run in an hour records its use
    commands = [python, *cases.values()]
    floor, *found = meter.beside(commands, runs=bench.count(15, 7), cwd=project)
    for (case, argv), figures in zip(cases.items(), found, strict=True):
        seen = meter.with_peaks(figures, argv, cwd=project)
        is_sync = case == "warm sync" and known[1]
        report.row(
            f"{name}: {case}",
            seen,
            floor,
            against=PYTHON,
            known=(known[1], None) if is_sync else None,
        )
        limit = marks.WARM.get(count) if case == "warm sync" else marks.asset_mark(count)
        if limit is not None and case == "warm sync":
            report.mark(f"{name}: {case}, CPU", seen.cpu, limit, "s")
        elif limit is not None:
            above = seen.cpu - floor.cpu
            report.mark(f"{name}: {case}, CPU above {PYTHON}", above, limit, "s")


def _mark(report, name, count, shape, cold):
    limit = marks.COLD.get((count, shape))
    if limit is not None:
        report.mark(f"{name}: cold sync, CPU", cold.cpu, limit, "s")
    if count in marks.MEMORY:
        report.mark(f"{name}: cold sync, memory", cold.rss, marks.MEMORY[count], "MiB")
    if cold.threads is not None:
        most = JOBS + FETCH_JOBS + marks.EXTRA_THREADS
        report.mark(f"{name}: cold sync, threads seen", cold.threads, most)
        report.mark(f"{name}: cold sync, open files seen", cold.files, marks.EXTRA_FILES)
