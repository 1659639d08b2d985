"""Packages: from an archive to a published package, compared with uv, unzip, tar and hashing."""

import base64
import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

from trees import write_tree

NAME = "many-1.0-py3-none-any.whl"
_RATE = 50 << 20  # bytes a second of the slow server


def run(bench, report):
    """Measure a wheel and a tar of many small files and a large one."""
    files = bench.choose(20_000, 2000)
    top = write_tree(bench.fresh("tree"), files=files, size=20_000)
    (top / "large").write_bytes((os.urandom(1 << 19) + bytes(1 << 19)) * bench.choose(180, 20))
    folder = bench.fresh("archives")
    wheel = _wheel(folder / NAME, top)
    tar = folder / "a.tar.zst"
    subprocess.run(["tar", "--zstd", "-cf", tar, "-C", top, "."], check=True)
    bench.remove(top)
    dest, cache = bench.folder / "unpacked", bench.folder / "cache"
    uv = shutil.which("uv")
    if uv is not None:
        argv = [uv, "pip", "install", "-q", "--offline", "--no-deps", "--target", dest, wheel]
        _compare(bench, report, wheel, "uv pip install", [*argv, "--cache-dir", cache])
    _compare(bench, report, wheel, "unzip", ["unzip", "-q", wheel, "-d", dest])
    _arriving(bench, report, wheel)
    script = 'mkdir "$2" && tar -xf "$1" -C "$2" && "$3" "$4" digest-by-library "$2"'
    python, work, *_rest = bench.work("digest-by-library")
    _compare(
        bench, report, tar, "tar and BLAKE3", ["sh", "-c", script, "sh", tar, dest, python, work]
    )


def _arriving(bench, report, wheel):
    """Compare a sync from a slow server with the download alone."""
    curl = shutil.which("curl")
    if curl is None:
        return
    dest, cache = bench.fresh("unpacked") / "file", bench.folder / "cache"
    program = Path(__file__).with_name("file_server.py")
    serving = [sys.executable, program, wheel.parent, str(_RATE)]
    with subprocess.Popen(serving, stdout=subprocess.PIPE, text=True) as server:
        try:
            url = f"http://127.0.0.1:{server.stdout.readline().strip()}/{NAME}"
            project = bench.fresh("project")
            digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
            (project / "many.lua").write_text(
                f'identity = "local.many@r1"\nfetch = {{ source = "{url}", sha256 = "{digest}" }}\n'
            )
            (project / "envy.lua").write_text(
                'packages = { { recipe = "local.many@r1", source = "many.lua" } }\n'
            )
            sync = [bench.envy, "--cache-root", cache, "sync", "--quiet"]
            commands = [[curl, "-sS", "-o", dest, url], sync]
            found = bench.meter.beside(
                commands, runs=bench.count(5, 3), cwd=project, before=lambda: bench.remove(cache)
            )
        finally:
            server.terminate()
    case = f"whl, from a server of {_RATE >> 20} MiB/s"
    floor = report.floor(f"{case}: curl", found[0])
    report.row(f"{case}: envy downloads, unpacks and publishes", found[1], floor, against="curl")
    bench.remove(dest.parent)


def _compare(bench, report, archive, name, argv):
    dest, cache = bench.folder / "unpacked", bench.folder / "cache"

    def clean():
        for path in (dest, cache):
            bench.remove(path)

    commands = [argv, bench.work("publish-archive", archive, cache)]
    program, ours = bench.meter.beside(commands, runs=bench.count(5, 3), before=clean)
    floor = report.floor(f"{archive.suffix[1:]}: {name}", program)
    report.row(f"{archive.suffix[1:]}: envy unpacks and publishes", ours, floor, against=name)
    clean()


def _wheel(path, top):
    """Pack a tree as a wheel that installers accept."""
    record = []
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:

        def add(name, content):
            digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=")
            record.append(f"{name},sha256={digest.decode()},{len(content)}\n")
            made.writestr(name, content)

        for each in sorted(top.rglob("*")):
            if each.is_file():
                add(f"many/{each.relative_to(top).as_posix()}", each.read_bytes())
        add("many-1.0.dist-info/METADATA", b"Metadata-Version: 2.1\nName: many\nVersion: 1.0\n")
        tags = b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        add("many-1.0.dist-info/WHEEL", tags)
        record.append("many-1.0.dist-info/RECORD,,\n")
        made.writestr("many-1.0.dist-info/RECORD", "".join(record))
    return path
