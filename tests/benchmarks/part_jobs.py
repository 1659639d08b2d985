"""Jobs: whether many slots cost more than one slot if no recipe has any work."""

import marks
from graphs import write_project


def run(bench, report):
    """Measure a cold sync with one job and with sixteen, in turn."""
    count = bench.choose(1000, 300)
    project = bench.fresh("project")
    write_project(project, "random", count)
    commands = [[bench.envy, "sync", "--quiet", "--jobs", jobs] for jobs in ("1", "16")]
    one, many = bench.meter.beside(
        commands, runs=bench.count(7, 5), cwd=project, before=bench.empty_cache
    )
    report.floor(f"{count} random: cold sync, --jobs 1", one)
    report.row(f"{count} random: cold sync, --jobs 16", many, one, against="--jobs 1")
    report.mark("CPU with --jobs 16 to that with 1", many.cpu / one.cpu, marks.JOBS_GROWTH)
