"""Random export files that try to reach outside: nothing outside of the cache changes.

100 export files here; ENVY_SOAK_HOSTILE says how many, ENVY_SOAK_SEED from which seed on.
"""

import io
import json
import os
import random
import tarfile
from pathlib import Path

import pytest
from exported_members import exported_members
from fault_injection import memory_dir

from envy.cache.entry_key import Ingredients, as_json, entry_key
from envy.cache.explanation import format_key_record
from envy.cache.export_file import write_export_file
from envy.cache.export_import import import_export_file
from envy.cache.layout import CacheLayout
from envy.cache.write import begin_attempt, publish
from envy.errors import EnvyError

EXPORT_FILES = int(os.environ.get("ENVY_SOAK_HOSTILE", "400")) // 4
SEED = int(os.environ.get("ENVY_SOAK_SEED", "0"))
INGREDIENTS = Ingredients(identity="local.gn@r0")
KEY = entry_key(INGREDIENTS)
KEPT = format_key_record(as_json(INGREDIENTS), {"key": "local.gn@r0", "relocate": ["*"]})
NAMES = ("out", "out/victim", "bin/x", "bin", "x", "../../victim", "../victim", "bin/../../x")


@pytest.fixture
def folder():
    with memory_dir() as made:
        yield Path(made).resolve()


def make_export_file(folder):
    """An export file of one entry, with a link that leads outside and a file with its path."""
    layout = CacheLayout(folder / "first")
    entry = layout.entry("local.gn@r0", "linux-x86_64", KEY)
    attempt = begin_attempt(entry, KEY)
    (entry.asset_dir / "bin").mkdir()
    (entry.asset_dir / "bin/x").write_text(f"exec {entry.asset_dir}/bin/x\n")
    (entry.asset_dir / "out").symlink_to(folder / "outer")
    publish(attempt, KEPT)
    write_export_file(str(folder / "good.tar.zst"), [entry], workers=0)
    return exported_members(folder / "good.tar.zst")


def change(members, chance, folder, target):
    """Write the export file with rows and members that it should not have."""
    names = [*NAMES, str(folder / "outer/victim"), f"..{folder}/outer/victim"]
    entry = "/".join(members[-1][0].name.split("/")[:2])
    with tarfile.open(target, "w") as tar:
        for original, data in members:
            member = tarfile.TarInfo(original.name)
            member.type, member.linkname = original.type, original.linkname
            content = data or b""
            if original.name.endswith("envy-fingerprint.blake3") and chance.random() < 0.8:
                content += b"".join(row(chance, names) for _ in range(chance.randint(1, 3)))
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content) if data is not None else None)
            if original.name.endswith("/asset") or "/asset/" in original.name:
                while chance.random() < 0.25:
                    add(tar, chance, f"{entry}/asset/{chance.choice(names)}", folder)


def row(chance, names):
    kind = chance.choice(("file", "dir", "link"))
    mode, holds = chance.choice(("777", "0", "4755")), chance.choice(([], ["local.gn@r0/x"]))
    return json.dumps([chance.choice(names), kind, mode, 8, "0" * 64, holds]).encode() + b"\n"


def add(tar, chance, name, folder):
    info = tarfile.TarInfo(name)
    info.type = chance.choice((tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE))
    if info.type in {tarfile.SYMTYPE, tarfile.LNKTYPE}:
        info.linkname = chance.choice((str(folder / "outer"), "../../outer", "bin", "x"))
    info.size = 4 if info.type == tarfile.REGTYPE else 0
    tar.addfile(info, io.BytesIO(b"evil"))


def snapshot(folder, cache):
    rows = {}
    for path in sorted(folder.rglob("*")):
        if path != cache and not path.is_relative_to(cache):
            status = path.lstat()
            content = path.read_bytes() if path.is_file() else b""
            rows[str(path)] = (status.st_mode, status.st_mtime_ns, status.st_nlink, content)
    return rows


def test_no_export_file_reaches_outside(folder):
    """Whatever an export file has, an import changes nothing outside of its cache."""
    (folder / "outer").mkdir()
    (folder / "outer/victim").write_text("precious")
    (folder / "victim").write_text("precious")
    members = make_export_file(folder)
    cache, refused = folder / "second", 0
    for seed in range(SEED, SEED + EXPORT_FILES):
        change(members, random.Random(seed), folder, folder / "changed.tar")
        before = snapshot(folder, cache)
        try:
            list(import_export_file(CacheLayout(cache), folder / "changed.tar"))
        except EnvyError:
            refused += 1
        assert snapshot(folder, cache) == before, seed
    assert refused > EXPORT_FILES / 2
