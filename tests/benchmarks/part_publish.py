"""Publishing into the cache (reading, hashing, flushing), compared with cp and hashing."""

import publish
from measure import Figures

MARK = publish.MARK


def run(bench, report):
    """Measure each kind of content, in one file and in many, inside this process."""
    megabytes = bench.choose(1024, 128)
    folder = bench.fresh("publishing")
    for content, piece in publish.pieces_of(folder).items():
        for count in (1, min(1000, megabytes)):
            source = folder / "source"
            publish.write_source(source, piece, megabytes, count)
            rounds = [publish.one_round(folder, source) for _ in range(bench.count(3, 3))]
            bench.remove(source)
            bench.remove(folder / "cache")
            case = f"{megabytes} MiB of {content}, {count} file{'s' * (count > 1)}"
            ours, copied, hashed = (_median([one[part] for one in rounds]) for part in range(3))
            report.floor(f"{case}: cp -r", copied)
            report.floor(f"{case}: BLAKE3", hashed)
            floor = Figures(copied.cpu + hashed.cpu, copied.wall + hashed.wall)
            report.row(f"{case}: publish", ours, floor, against="cp and BLAKE3")
            report.mark(f"{case}: CPU to that of cp and BLAKE3", ours.cpu / floor.cpu, MARK)


def _median(pairs):
    wall, cpu = (sorted(column)[len(pairs) // 2] for column in zip(*pairs, strict=True))
    return Figures(cpu, wall)
