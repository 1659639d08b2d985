"""Native tests: C with `envy test`, beside an executable a file and a library compiled once."""

import bench_native
from measure import Failed, Figures


def run(bench, report):
    """Measure a generated suite from scratch, unchanged and edited; envy.zig@r1 is installed."""
    folders = bench.choose(bench_native.FOLDERS, 3)
    try:
        measured = bench_native.measure(bench_native.Bench(bench.fresh("native"), folders))
    except SystemExit as error:
        raise Failed(str(error)) from error
    rows = {name: Figures(wall=wall, cpu=used) for name, (wall, used) in measured.items()}
    floor = report.floor(f"{folders} folders: library reused", rows.pop("library reused"))
    for name, figures in rows.items():
        compared = floor if name in {"scratch", "library each time"} else None
        report.row(f"{folders} folders: {name}", figures, compared, against="library reused")
    if folders < bench_native.FOLDERS:
        return
    scratch = rows["scratch"].cpu
    against = {"library each time": rows["library each time"].cpu, "library reused": floor.cpu}
    for name, used in against.items():
        limit = bench_native.RATIOS[name]
        report.mark(f"{folders} folders: scratch to {name}, CPU", scratch / used, limit)
    for name, limit in bench_native.MARKS.items():
        report.mark(f"{folders} folders: {name}, wall", rows[name].wall, limit, "s")
