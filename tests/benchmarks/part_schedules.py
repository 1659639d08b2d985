"""Schedules: syncs of sleeping installs, beside a list schedule that knows how long each takes."""

import json
import subprocess
import sys
from pathlib import Path
from statistics import median

MEDIAN_MARK, WORST_MARK = 1.05, 1.15


def run(bench, report):
    """The program that measures them prints a table of its own; its marks are ours."""
    program = Path(__file__).parent / "schedules.py"
    found = bench.folder / "schedules.json"
    argv = [sys.executable, program, "--json", found, "--folder", bench.folder]
    subprocess.run([*argv, *bench.choose([], ["--quick"])], check=True)
    rows = json.loads(found.read_text())
    ratios = [row["makespan"] / row["listed"] for row in rows]
    report.rows.append({"case": "schedules", "schedules": rows})
    report.mark("schedules: makespan to list schedule, median", median(ratios), MEDIAN_MARK)
    report.mark("schedules: makespan to list schedule, worst", max(ratios), WORST_MARK)
