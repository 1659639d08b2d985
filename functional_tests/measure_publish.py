"""What publishing costs beyond writing, against `cp` and hashing in the same run; run by hand.

python functional_tests/measure_publish.py [MEGABYTES] [FILES]
"""

import shutil
import sys
import tempfile
import time
from pathlib import Path

from blake3 import blake3

from envy.cache.layout import CacheLayout
from envy.cache.write import begin_attempt, publish

KEY = "0123456789abcdef" + "0" * 48


def timed(work):
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def hash_tree(top):
    for path in sorted(top.iterdir()):
        hasher = blake3()
        with path.open("rb", buffering=0) as file:
            while chunk := file.read(1 << 20):
                hasher.update(chunk)


def main():
    megabytes, count = (int(word) for word in [*sys.argv[1:], "2048", "1"][:2])
    folder = Path(tempfile.mkdtemp(prefix="envy-measure-"))
    try:
        piece = bytes(range(256)) * 4096
        source = folder / "source"
        source.mkdir()
        for number in range(count):
            with (source / f"{number}").open("wb") as file:
                for _ in range(megabytes // count):
                    file.write(piece)
        for _ in range(3):
            entry = CacheLayout(folder / "cache").entry("local.big@r1", "linux-x86_64", KEY)
            attempt = begin_attempt(entry, KEY)
            for path in source.iterdir():
                shutil.copyfile(path, entry.asset_dir / path.name)
            ours = timed(lambda attempt=attempt: publish(attempt, "{}\n"))
            copied = timed(lambda: shutil.copytree(source, folder / "copy"))
            hashed = timed(lambda: hash_tree(folder / "copy"))
            shutil.rmtree(folder / "copy")
            ratio = ours / (copied + hashed)
            print(f"publish {ours:.2f} s, cp {copied:.2f} s, hash {hashed:.2f} s: {ratio:.2f}")
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
