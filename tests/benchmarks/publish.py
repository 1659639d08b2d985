"""The cost of publishing an asset beyond writing it, compared with `cp` and hashing.

    python tests/benchmarks/publish.py [--megabytes N] [--rounds N]

Publishing reads the payload, hashes it, searches it for paths, makes it read-only and waits for the
disk. For each kind of content, its cost is compared with `cp -r`, which does not wait for the disk,
and BLAKE3 of the copy. The program fails if the median of the ratios is above the mark.
"""

import argparse
import os
import random
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from blake3 import blake3

from envy.cache.layout import CacheLayout
from envy.cache.write import begin_attempt, publish

KEY = "0123456789abcdef" + "0" * 48
IDENTITY = "local.big@r1"
MARK = 1.3
MEGABYTE = 1 << 20


def measured(work):
    """Return the wall and CPU seconds of some work, including its child processes."""

    def processor():
        return sum(
            usage.ru_utime + usage.ru_stime
            for usage in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        )

    started, used = time.perf_counter(), processor()
    work()
    return time.perf_counter() - started, processor() - used


def pieces_of(folder):
    """Return a megabyte of random bytes, and one of text that is full of near-matches of paths."""
    nearly = f"{folder}/cache/asset-/local.big@r1\n".encode()
    text = (nearly * (MEGABYTE // len(nearly) + 1))[:MEGABYTE]
    return {"random bytes": random.Random(1).randbytes(MEGABYTE), "almost paths": text}


def write_source(source, piece, megabytes, count):
    """Write `megabytes` of content into `count` files; no two megabytes are equal."""
    source.mkdir()
    each, rest = divmod(megabytes, count)
    for number in range(count):
        with (source / f"{number}").open("wb") as file:
            for row in range(each + (number < rest)):
                file.write(b"%8d %8d" % (number, row) + piece[17:])


def hash_tree(top):
    for path in sorted(top.iterdir()):
        hasher = blake3()
        with path.open("rb", buffering=0) as file:
            while chunk := file.read(MEGABYTE):
                hasher.update(chunk)


def one_round(folder, source):
    """Return (wall, CPU) of publishing, of cp and of hashing."""
    entry = CacheLayout(folder / "cache").entry(IDENTITY, "linux-x86_64", KEY)
    attempt = begin_attempt(entry, KEY)
    for path in source.iterdir():
        shutil.copyfile(path, entry.asset_dir / path.name)
    forbidden = {b"/opt/only-there-to-build": "local.gcc@r1"}
    ours = measured(lambda: publish(attempt, "{}\n", forbidden=forbidden))
    copy = folder / "copy"
    copied = measured(lambda: subprocess.run(["cp", "-r", source, copy], check=True))
    hashed = measured(lambda: hash_tree(copy))
    shutil.rmtree(copy)
    return ours, copied, hashed


def compare(folder, name, piece, *, megabytes, count, rounds):
    """Print each round; return whether both medians are below the mark."""
    source = folder / "source"
    write_source(source, piece, megabytes, count)
    ratios = {"wall": [], "CPU": []}
    for _ in range(rounds):
        rows = one_round(folder, source)
        for (what, found), (ours, copied, hashed) in zip(
            ratios.items(), zip(*rows, strict=True), strict=True
        ):
            found.append(ours / (copied + hashed))
            print(
                f"  {what:4} publish {ours:.2f} s, cp {copied:.2f} s, hash {hashed:.2f} s: "
                f"{found[-1]:.2f}"
            )
    shutil.rmtree(source)
    medians = {what: statistics.median(found) for what, found in ratios.items()}
    told = ", ".join(f"{what} {value:.2f}" for what, value in medians.items())
    print(f"{megabytes} MiB of {name} in {count} file{'s' * (count > 1)}: {told} (mark {MARK})")
    return max(medians.values()) <= MARK


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--megabytes", type=int, default=2048)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="envy-publish-", dir=os.environ.get("TMPDIR")))
    try:
        kept = [
            compare(
                folder,
                name,
                piece,
                megabytes=given.megabytes,
                count=count,
                rounds=given.rounds,
            )
            for name, piece in pieces_of(folder).items()
            for count in (1, min(2000, given.megabytes))
        ]
    finally:
        shutil.rmtree(folder)
    sys.exit(0 if all(kept) else 1)


if __name__ == "__main__":
    main()
