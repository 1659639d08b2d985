"""Transports: http from loopback, git by path and file:, compared with equivalent programs."""

import os
import shutil
import sys
from pathlib import Path

import marks
from serving import served
from trees import write_tree

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from loopback.git_repository import GitRepository
from loopback.http_server import LoopbackServer, Reply

_CURL = ["--create-dirs", "-sS", "--parallel", "--parallel-max", "8", "--no-progress-meter"]


def run(bench, report):
    """Measure each transport in turn."""
    _http(bench, report)
    _curl(bench, report)
    _git(bench, report)
    _file(bench, report)


def _compare(bench, report, case, commands):
    """Measure commands, given as (name, argv), report and return; the first is the floor."""
    dest = bench.folder / "fetched"
    found = bench.meter.beside(
        commands.values(), runs=bench.count(5, 3), before=lambda: bench.remove(dest)
    )
    (first, floor), *others = zip(commands, found, strict=True)
    report.floor(f"{case}: {first}", floor)
    for name, figures in others:
        report.row(f"{case}: {name}", figures, floor, against=first)
    return found


def _http(bench, report):
    dest = bench.folder / "fetched"
    large = bytes(range(256)) * (bench.choose(64, 16) << 12)
    many = bench.choose(500, 100)
    with LoopbackServer() as server:
        server.routes["/large.bin"] = Reply(large)
        for number in range(many):
            server.routes[f"/{number}.bin"] = Reply(b"x" * 1000)
        sources = {
            f"http, one file of {len(large) >> 20} MiB": [f"{server.url}/large.bin"],
            f"http, {many} files of 1 kB": [f"{server.url}/{n}.bin" for n in range(many)],
        }
        for case, urls in sources.items():
            commands = {
                "urllib": bench.work("fetch-by-library", dest, *urls),
                "envy": bench.work("fetch", dest, *urls),
            }
            _compare(bench, report, case, commands)


def _curl(bench, report):
    """Compare with curl, urllib3 alone and bare sockets, from a server that is no bottleneck.

    The start-up of each, with one little file, is a row of its own, and not counted.
    """
    curl = shutil.which("curl")
    if curl is None:
        return
    dest, folder = bench.folder / "fetched", bench.fresh("served")
    large, many = bench.choose(1024, 64), bench.choose(200, 50)
    with (folder / "large").open("wb") as file:
        for _ in range(large):
            file.write(os.urandom(1 << 20))
    for number in range(many):
        (folder / str(number)).write_bytes(os.urandom(50_000))
    (folder / "little").write_bytes(b"x")
    with served(folder) as url:
        cases = {
            f"http beside curl, one file of {large} MiB": [f"{url}/large"],
            f"http beside curl, {many} files of 50 kB": [f"{url}/{n}" for n in range(many)],
        }
        for case, urls in cases.items():
            commands = {
                "curl": [curl, *_CURL, *_outputs(dest, urls)],
                "curl, start-up": [curl, *_CURL, *_outputs(dest, [f"{url}/little"])],
                "sockets in Python": bench.work("fetch-by-sockets", dest, *urls),
                "sockets in Python, no digest": bench.work(
                    "fetch-by-sockets-unhashed", dest, *urls
                ),
                "sockets in Python, start-up": bench.work("fetch-by-sockets", dest),
                "urllib3 alone": bench.work("fetch-by-urllib3", dest, *urls),
                "urllib3 alone, start-up": bench.work("fetch-by-urllib3", dest),
                "envy": bench.work("fetch-together", dest, *urls),
                "envy, start-up": bench.work("fetch-together", dest, f"{url}/little"),
            }
            floor, before, *_, ours, begun = _compare(bench, report, case, commands)
            ratio = (ours.wall - begun.wall) / max(floor.wall - before.wall, 1e-4)
            report.mark(f"{case}: wall to curl", ratio, marks.DOWNLOAD_TO_CURL)


def _outputs(dest, urls):
    return [word for each in urls for word in ("-o", dest / each.rpartition("/")[2], each)]


def _git(bench, report):
    dest = bench.folder / "fetched"
    folder = bench.fresh("repository")
    repository = GitRepository(folder)
    write_tree(repository.work_tree / "files", files=bench.choose(2000, 500), size=2000)
    repository.git("add", "-A")
    repository.git("commit", "-q", "-m", "files")
    repository.git("push", "-q", "origin", "HEAD:main")
    commands = {
        "git clone --depth 1": ["git", "clone", "-q", "--depth", "1", repository.url, dest],
        "envy": bench.work("fetch", dest, f"git+{repository.url}"),
    }
    _compare(bench, report, "git, shallow, by file:", commands)


def _file(bench, report):
    dest = bench.folder / "fetched"
    many = write_tree(bench.fresh("tree"), files=bench.choose(5000, 1000), size=4000)
    large = write_tree(bench.fresh("large"), files=1, size=bench.choose(256, 64) << 20)
    for case, source in {"file, a folder": many, "file, one large": large / "000/00000"}.items():
        commands = {
            "cp -r": ["cp", "-r", source, dest],
            "envy": bench.work("fetch", dest, source.as_uri()),
        }
        _compare(bench, report, case, commands)
