"""Hashing: the digest of a tree, compared with copying the tree and hashing each file."""

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
