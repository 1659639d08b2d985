"""Arrivals: a tar.zst from a server to a published package, beside curl, tar and b3sum."""

import os
import shutil
import subprocess

import marks
from serving import served
from trees import write_tree

# What must be done: to transfer, to unpack, and to know the digest of every file.
_SCRIPT = (
    'set -e; mkdir "$2"; curl -sS "$1" | tar --zstd -xf - -C "$2"; '
    'find "$2" -type f -print0 | sort -z | xargs -0 b3sum >/dev/null'
)


def run(bench, report):
    """Measure many small files, files of all sizes, and a large one; start-up is not counted.

    In a memory file system, envy's flush takes no time; --disk includes it.
    """
    if not all(map(shutil.which, ("curl", "b3sum", "zstd"))):
        return
    archives = bench.fresh("archives")
    small, large = bench.choose(20_000, 2000), bench.choose(1024, 64)
    shapes = {
        f"{small} small files": lambda top: write_tree(top, files=small, size=3000),
        "files of all sizes": lambda top: _of_all_sizes(top, bench.choose(900, 60)),
        f"a file of {large} MiB": lambda top: _large(top, large),
        "nothing much": lambda top: write_tree(top, files=1, size=100),
    }
    for number, write in enumerate(shapes.values()):
        top = bench.fresh("tree")
        write(top)
        tar = archives / f"{number}.tar.zst"
        subprocess.run(["tar", "--zstd", "-cf", tar, "-C", top, "."], check=True)
        bench.remove(top)
    with served(archives) as url:
        *last, (floor_start, start) = (
            _compare(bench, report, case, f"{url}/{number}.tar.zst")
            for number, case in enumerate(shapes)
        )
    for case, (floor, ours) in zip(shapes, last, strict=False):
        ratio = (ours.wall - start.wall) / max(floor.wall - floor_start.wall, 1e-4)
        limit = marks.ARRIVAL_OF_SMALL_FILES if "small" in case else marks.ARRIVAL
        report.mark(f"{case}: wall to curl, tar and b3sum", ratio, limit)


def _compare(bench, report, case, url):
    dest, cache = bench.folder / "unpacked", bench.folder / "cache"

    def clean():
        for path in (dest, cache):
            bench.remove(path)

    commands = [["sh", "-c", _SCRIPT, "sh", url, dest], bench.work("fetch-and-publish", url, cache)]
    floor, ours = bench.meter.beside(commands, runs=bench.count(5, 3), before=clean)
    report.floor(f"{case}: curl, tar and b3sum", floor)
    clean()
    ours = bench.meter.with_peaks(ours, commands[1], before=clean)
    report.row(f"{case}: envy", ours, floor, against="those")
    clean()
    return floor, ours


def _of_all_sizes(top, megabytes):
    size = 0
    for number in range(megabytes):
        if size < megabytes << 20:
            chosen = (20_000, 200_000, 1_000_000, 4_000_000)[number % 4]
            write_tree(top / str(number), files=1, size=chosen, seed=number)
            size += chosen


def _large(top, megabytes):
    with (top / "large").open("wb") as file:
        for _ in range(megabytes):
            file.write(os.urandom(1 << 19) + bytes(1 << 19))
