"""Schedules: syncs of sleeping installs, compared with a list schedule that knows the durations.

Measures a dozen graphs; `make bench-schedules` measures all of them.
"""

import json
import subprocess
import sys
from pathlib import Path
from statistics import median

from measure import Failed

MEDIAN_MARK, WORST_MARK = 1.05, 1.15


def run(bench, report):
    """Run schedules.py, which prints its own table, and report its marks."""
    program = Path(__file__).parent / "schedules.py"
    if not program.exists():
        raise Failed(f"there is no {program.name}")
    found = bench.folder / "schedules.json"
    few = bench.choose(["--quick"], ["--graphs", "3"])
    argv = [sys.executable, program, "--json", found, "--folder", bench.folder, *few]
    subprocess.run(argv, check=True)
    rows = json.loads(found.read_text())
    ratios = [row["makespan"] / row["listed"] for row in rows]
    report.rows.append({"case": "schedules", "schedules": rows})
    report.mark("schedules: makespan to list schedule, median", median(ratios), MEDIAN_MARK)
    report.mark("schedules: makespan to list schedule, worst", max(ratios), WORST_MARK)
