"""Hashing: the digest of a tree, and `envy hash` beside b3sum and sha256sum."""

import shutil

import marks
from trees import write_tree


def run(bench, report):
    """Measure many small files, and one large one."""
    copy = bench.folder / "copy"
    shapes = {
        "small files": bench.choose((10000, 4000), (3000, 4000)),
        "large file": bench.choose((1, 512 << 20), (1, 64 << 20)),
    }
    for what, (files, size) in shapes.items():
        top = write_tree(bench.fresh("tree"), files=files, size=size)
        found = bench.meter.beside(
            [
                ["cp", "-r", top, copy],
                bench.work("digest-by-library", top),
                bench.work("digest", top),
            ],
            runs=bench.count(5, 3),
            before=lambda: bench.remove(copy),
        )
        case = f"{files} {what}"
        report.floor(f"{case}: cp -r", found[0])
        floor = report.floor(f"{case}: BLAKE3 of each file", found[1])
        report.row(f"{case}: envy's digest of the tree", found[2], floor, against="BLAKE3 alone")
    _programs(bench, report)


def _programs(bench, report):
    """Compare `envy hash` with the programs that are installed, start-up included."""
    shapes = {
        "files of 1 MB": bench.choose((1000, 1_000_000), (100, 1_000_000)),
        "files of 3 kB": bench.choose((20_000, 3000), (2000, 3000)),
    }
    for what, (files, size) in shapes.items():
        top = write_tree(bench.fresh("tree"), files=files, size=size)
        names = sorted(str(path) for path in top.rglob("*") if path.is_file())
        for algorithm, program in {"blake3": "b3sum", "sha256": "sha256sum"}.items():
            if shutil.which(program) is None:
                continue
            commands = [[program, *names], [bench.envy, "hash", "--algorithm", algorithm, top]]
            floor, ours = bench.meter.beside(commands, runs=bench.count(5, 3))
            case = f"{files} {what}"
            report.floor(f"{case}: {program}", floor)
            report.row(f"{case}: envy hash, {algorithm}", ours, floor, against=program)
            limit = marks.HASH_TO_B3SUM.get((files, size))
            if limit and program == "b3sum":
                report.mark(f"{case}: envy hash to b3sum, wall", ours.wall / floor.wall, limit)
