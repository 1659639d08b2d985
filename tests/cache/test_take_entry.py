"""Taking an entry of an export file into another cache."""

import errno
import io
import json
import os
import tarfile
from pathlib import Path

import pytest
from blake3 import blake3
from exported_members import exported_members

from envy.cache.entry_key import Ingredients, as_json, entry_key
from envy.cache.explanation import format_key_record, parse_key_record
from envy.cache.export_file import SIGNATURE, write_export_file
from envy.cache.export_import import unpacked_entries
from envy.cache.export_records import read_head
from envy.cache.filesystem import FileSystem
from envy.cache.fingerprint import search_roots
from envy.cache.imported_entry import UnpackedEntry
from envy.cache.layout import CacheLayout
from envy.cache.names import MARKER, ORIGIN
from envy.cache.origin import Origin, read_origin
from envy.cache.read import lookup, read_marker
from envy.cache.take_entry import take_entry, take_exported
from envy.cache.verify import parse_fingerprint, read_fingerprint
from envy.cache.write import begin_attempt, publish
from envy.content.below_root import open_below
from envy.content.written_digests import WrittenDigests
from envy.errors import ArchiveError, CacheError

INGREDIENTS = Ingredients(identity="local.gn@r0")
KEY = entry_key(INGREDIENTS)
FROM = Origin("file:///depot", "0123456789ABCDEF")
KEPT = format_key_record(as_json(INGREDIENTS), {"key": "local.gn@r0"})
OTHER = Ingredients(identity="local.other@r0")


def make_entry(
    root, ingredients=INGREDIENTS, kept=KEPT, text="hello\n", *, writable=False, count=1
):
    """Publish an entry with one file, and one that holds its own path if `text` has {here}."""
    key = entry_key(ingredients)
    entry = CacheLayout(root).entry(ingredients.identity, "linux-x86_64", key)
    attempt = begin_attempt(entry, key)
    (entry.asset_dir / "bin").mkdir()
    (entry.asset_dir / "bin/x").write_text(text.replace("{here}", str(entry.asset_dir)))
    for number in range(1, count):
        (entry.asset_dir / str(number)).write_text(str(number))
    publish(attempt, kept, writable=writable)
    return entry


@pytest.fixture
def exported(tmp_path):
    path = tmp_path / "entry.tar.zst"
    write_export_file(
        str(path), [make_entry(tmp_path / "first")], workers=0, sign=lambda index: b"of " + index
    )
    return path


def take(tmp_path, exported, accept=lambda _index, _signature: None, key=KEY):
    layout = CacheLayout(tmp_path / "second")
    entry = layout.entry("local.gn@r0", "linux-x86_64", key)
    problem = take_exported(layout, exported, entry, key, accept=accept, origin=FROM)
    return entry, problem


def changed(path, change):
    """Write the export file with each member as `change` returns it: (name, data)."""
    target = path.with_name("changed.tar")
    with tarfile.open(target, "w") as tar:
        for member, data in exported_members(path):
            member.name, new = change(member, data)
            member.size = len(new or b"")
            tar.addfile(member, io.BytesIO(new or b""))
    return target


def test_the_entry_is_published(tmp_path, exported):
    """The taken entry is a hit, and nothing of the work is left beside it."""
    entry, problem = take(tmp_path, exported)
    assert problem == ""
    assert read_origin(entry) == FROM
    assert lookup(entry, KEY).hit
    assert (entry.asset_dir / "bin/x").read_text() == "hello\n"
    assert not entry.work_dir.exists()


def test_the_signature_is_judged_first(tmp_path, exported):
    """The index and its signature are judged before anything is unpacked."""
    seen = []

    def accept(index, signature):
        seen.append((json.loads(index)["entries"][0]["name"], signature == b"of " + index))
        raise ArchiveError("not by a key of ours", archive=exported)

    with pytest.raises(ArchiveError, match="not by a key of ours"):
        take(tmp_path, exported, accept)
    assert len(seen) == 1
    assert seen[0][1]
    entry = CacheLayout(tmp_path / "second").entry("local.gn@r0", "linux-x86_64", KEY)
    assert not lookup(entry, KEY).hit
    assert not entry.asset_dir.exists()


def test_an_unsigned_file_has_an_empty_signature(tmp_path):
    """Whoever accepts the file can tell that it is not signed."""
    path = tmp_path / "plain.tar.zst"
    write_export_file(str(path), [make_entry(tmp_path / "first")], workers=0)
    seen = []
    take(tmp_path, path, lambda _index, signature: seen.append(signature))
    assert seen == [b""]


def test_another_entry_under_the_name(tmp_path, exported):
    """A file with the entry of another key is refused."""
    with pytest.raises(ArchiveError, match=r"has local\.gn@r0.*and not"):
        take(tmp_path, exported, key="ab" * 32)


def test_two_entries_in_one_file(tmp_path):
    """A file of several entries is refused, and none of them is published."""
    kept = format_key_record(as_json(OTHER), {"key": "local.other@r0"})
    entries = [make_entry(tmp_path / "first"), make_entry(tmp_path / "first", OTHER, kept)]
    path = tmp_path / "both.tar.zst"
    write_export_file(str(path), entries, workers=0)
    with pytest.raises(ArchiveError, match="several entries"):
        take(tmp_path, path)
    entry = CacheLayout(tmp_path / "second").entry("local.gn@r0", "linux-x86_64", KEY)
    assert not lookup(entry, KEY).hit


def test_two_entries_in_the_index(tmp_path, exported):
    """What the index says is judged before anything is unpacked: the rest may be endless."""

    def change(member, data):
        if member.name == "envy-export.json":
            index = json.loads(data)
            other = "local.other@r0/linux-x86_64-blake3-0123456789abcdef"
            index["entries"].append({**index["entries"][0], "name": other})
            data = json.dumps(index).encode()
        return member.name, data

    path = changed(exported, change)
    with pytest.raises(ArchiveError, match="several entries"):
        take(tmp_path, path)
    nothing = changed(
        exported,
        lambda member, data: (
            member.name,
            b'{"format": 1, "entries": []}' if member.name == "envy-export.json" else data,
        ),
    )
    with pytest.raises(ArchiveError, match="no entry"):
        take(tmp_path, nothing)


@pytest.mark.parametrize("record", ["envy-fingerprint.blake3", "envy-ingredients.json"])
def test_a_record_that_is_not_the_signed_one(tmp_path, exported, record):
    """The index vouches for the records: another one is refused, even if it is consistent."""

    def change(member, data):
        if member.name.endswith("ingredients.json") and member.name.endswith(record):
            data += b"\n"
        elif member.name.endswith(record):
            data = data.replace(b"/first", b"/other", 1)  # the root that it was made in
        return member.name, data

    with pytest.raises(ArchiveError, match=f"{record}.*is not the one in its index"):
        take(tmp_path, changed(exported, change))


def test_what_the_fingerprint_of_a_writable_package_does_not_name(tmp_path):
    """It is neither exported nor taken: no signature covers it."""
    path = tmp_path / "entry.tar.zst"
    first = make_entry(tmp_path / "first", writable=True)
    (first.asset_dir / "bin/later").write_text("added by its user\n")
    write_export_file(str(path), [first], workers=0)
    entry, problem = take(tmp_path, path)
    assert problem == ""
    assert [file.name for file in (entry.asset_dir / "bin").iterdir()] == ["x"]
    hostile = tmp_path / "hostile.tar"
    with tarfile.open(hostile, "w") as tar:
        for member, data in exported_members(path):
            tar.addfile(member, io.BytesIO(data or b""))
        member.name, member.size = member.name.replace("bin/x", "bin/sh"), 4
        tar.addfile(member, io.BytesIO(b"evil"))
    with pytest.raises(ArchiveError, match="asset/bin/sh is not in the fingerprint"):
        take(tmp_path / "third", hostile)


def test_an_index_without_digests(tmp_path, exported):
    """A judged file whose index does not name the digests of its records is refused."""

    def change(member, data):
        if member.name == "envy-export.json":
            row = json.loads(data)
            for entry in row["entries"]:
                del entry["envy-fingerprint.blake3"]
            data = json.dumps(row).encode()
        return member.name, data

    with pytest.raises(ArchiveError, match="has no digests"):
        take(tmp_path, changed(exported, change))


@pytest.mark.parametrize("size", [0, 10, 200, -20, -1])
def test_a_truncated_file(tmp_path, exported, size):
    """A file that ends too early leaves no entry."""
    cut = tmp_path / "cut.tar.zst"
    cut.write_bytes(exported.read_bytes()[:size])
    with pytest.raises(ArchiveError):
        take(tmp_path, cut)
    entry = CacheLayout(tmp_path / "second").entry("local.gn@r0", "linux-x86_64", KEY)
    assert not lookup(entry, KEY).hit


def test_an_entry_that_holds_its_own_path(tmp_path):
    """An entry with its old root in a file that may not be rewritten is left out, with a reason."""
    path = tmp_path / "entry.tar.zst"
    first = make_entry(tmp_path / "first", text="\0{here}/bin")
    write_export_file(str(path), [first], workers=0)
    entry, problem = take(tmp_path, path)
    assert "bin/x" in problem
    assert not lookup(entry, KEY).hit


def test_the_record_of_the_origin(tmp_path, exported):
    """It stays until the entry is built anew; whatever is in its place is of no known signer."""
    entry, _ = take(tmp_path, exported)
    record = Path(entry.at(ORIGIN))
    for damaged in (b"", b"[]", b'{"place": "x"}', b"\xff"):
        record.write_bytes(damaged)
        assert read_origin(entry) == Origin("an unknown place")
    begin_attempt(entry, KEY)
    assert read_origin(entry) is None
    record.mkdir()
    assert read_origin(entry) == Origin("an unknown place")
    begin_attempt(entry, KEY)
    assert read_origin(entry) is None
    outside = tmp_path / "outside"
    outside.write_text("mine")
    record.symlink_to(outside)
    assert take(tmp_path, exported)[1] == ""
    assert read_origin(entry) == FROM
    assert outside.read_text() == "mine"


def test_a_full_disk(tmp_path, exported):
    """An error of the disk is one of the cache, and leaves no entry."""

    class Full(FileSystem):
        def rename(self, source, target):
            if target.endswith("/asset"):
                raise OSError(28, "No space left on device", target)
            super().rename(source, target)

    layout = CacheLayout(tmp_path / "second")
    entry = layout.entry("local.gn@r0", "linux-x86_64", KEY)
    with pytest.raises(CacheError, match="No space left"):
        take_exported(
            layout, exported, entry, KEY, accept=lambda *_: None, origin=FROM, files=Full()
        )
    assert not lookup(entry, KEY).hit


def test_no_marker_before_the_payload_is_on_the_disk(tmp_path):
    """An entry of another root is rewritten without a marker, which is written once, at the end."""
    path = tmp_path / "entry.tar.zst"
    write_export_file(str(path), [make_entry(tmp_path / "first", text="{here}\n")], workers=0)
    steps = []

    class Seen(FileSystem):
        def rename(self, source, target):
            steps.append("marker" if target.endswith(MARKER) else "")
            super().rename(source, target)

        def flush_tree(self, *words, **details):
            steps.append("flush")
            super().flush_tree(*words, **details)

    layout = CacheLayout(tmp_path / "second-and-longer")
    entry = layout.entry("local.gn@r0", "linux-x86_64", KEY)
    assert (
        take_exported(layout, path, entry, KEY, accept=lambda *_: None, origin=FROM, files=Seen())
        == ""
    )
    assert (entry.asset_dir / "bin/x").read_text() == f"{entry.asset_dir}\n"
    assert [step for step in steps if step] == ["flush", "marker"]


@pytest.mark.parametrize("number", [errno.ENAMETOOLONG, errno.EILSEQ])
def test_names_that_this_machine_cannot_have(tmp_path, exported, number):
    """They say something about the entry, and nothing about the cache."""
    layout = CacheLayout(tmp_path / "second")
    entry = layout.entry("local.gn@r0", "linux-x86_64", KEY)

    def unpack(folder):
        raise OSError(number, os.strerror(number), folder)

    with pytest.raises(ArchiveError, match=r"shown cannot be used here"):
        take_entry(layout, Path("shown"), entry, KEY, unpack=unpack, origin=FROM)
    assert not entry.directory.exists()


def test_a_step_that_fails_after_the_marker(tmp_path, exported):
    """The marker goes before the payload does: it never stands for a payload that is gone."""

    class Failing(FileSystem):
        def flush_dirs(self, paths):
            if any((Path(path) / MARKER).exists() for path in paths) and not self.failed:
                self.failed = True
                raise OSError(5, "Input/output error", paths[0])
            super().flush_dirs(paths)

    files = Failing()
    files.failed = False
    layout = CacheLayout(tmp_path / "second")
    entry = layout.entry("local.gn@r0", "linux-x86_64", KEY)
    with pytest.raises(CacheError, match="Input/output error"):
        take_exported(
            layout, exported, entry, KEY, accept=lambda *_: None, origin=FROM, files=files
        )
    assert files.failed
    assert read_marker(entry) is None
    assert not entry.asset_dir.exists()


@pytest.mark.parametrize(
    ("name", "kind", "target", "said"),
    [
        ("asset/../../../out", tarfile.REGTYPE, "", "is outside of its entry"),
        ("/out", tarfile.REGTYPE, "", "does not belong to an entry"),
        ("asset/device", tarfile.CHRTYPE, "", "is not a file, directory or link"),
        ("asset/absolute", tarfile.SYMTYPE, "/etc/passwd", "is not in the fingerprint"),
        ("asset/bin/x/y", tarfile.REGTYPE, "", "is outside of its entry"),
        ("asset/nothing", tarfile.SYMTYPE, "", "is a link to nothing"),
        ("asset/long", tarfile.SYMTYPE, "x" * 5000, "is a link to a path of 5000 bytes"),
        ("asset/" + "é" * 128, tarfile.REGTYPE, "", "has a name of 256 bytes"),
    ],
    ids=lambda value: value[:20] if isinstance(value, str) else None,
)
def test_hostile_members(tmp_path, exported, name, kind, target, said):
    """What does not belong into an entry is refused by name, and nothing of the entry stays."""
    hostile = tmp_path / "hostile.tar"
    with tarfile.open(hostile, "w") as tar:
        for member, data in exported_members(exported):
            member.size = len(data or b"")
            tar.addfile(member, io.BytesIO(data or b""))
            own = "/".join(member.name.split("/")[:2])
        info = tarfile.TarInfo(name if name.startswith("/") else f"{own}/{name}")
        info.type, info.linkname = kind, target
        tar.addfile(info)
    with pytest.raises(ArchiveError, match=said):
        take(tmp_path, hostile)
    entry = CacheLayout(tmp_path / "second").entry("local.gn@r0", "linux-x86_64", KEY)
    assert not entry.directory.exists()
    assert not (tmp_path / "out").exists()


def test_an_index_of_a_million(tmp_path, exported):
    """It is refused before anything of it is parsed, or judged."""

    def change(member, data):
        if member.name == "envy-export.json":
            data = b'{"format": 1, "entries": [' + b"0," * 999_999 + b"0]}"
        return member.name, data

    asked = []
    with pytest.raises(ArchiveError, match=r"has several entries: envy-export.json has 2000"):
        take(tmp_path, changed(exported, change), accept=lambda *words: asked.append(words))
    assert asked == []
    with pytest.raises(ArchiveError, match=r"envy-export.json is damaged"):
        next(unpacked_entries(changed(exported, change), str(tmp_path / "all")))


def test_nothing_is_parsed_that_nobody_signed(tmp_path, exported):
    """Nothing of an index is parsed that no key has signed, and no record that it does not name."""

    def refuse(_index, _signature):
        raise LookupError("not signed")

    def damaged(member, data):
        return member.name, b"[" * 1000 if member.name == "envy-export.json" else data

    def other(member, data):
        return member.name, b"[" * 1000 if member.name.endswith("blake3") else data

    with pytest.raises(LookupError):
        take(tmp_path, changed(exported, damaged), accept=refuse)
    with pytest.raises(ArchiveError, match=r"fingerprint.blake3 is not the one in its index"):
        take(tmp_path, changed(exported, other))


@pytest.mark.parametrize("number", [0, 1])
def test_records_that_decode_to_very_much(tmp_path, number):
    """A record of few bytes that stands for millions of values counts as damaged."""
    first = make_entry(tmp_path / "first")
    record = Path(first.at("envy-fingerprint.blake3"))
    lines = record.read_text().split("\n")
    lines[number] = lines[number][:-1] + ', "x": [' + "[]," * 1_000_001 + "[]]}"
    assert parse_fingerprint("\n".join(lines)) is None
    kept = KEPT.replace("{", '{"x": [' + "[]," * 1_000_001 + "[]],", 1)
    assert parse_key_record(kept) is None


@pytest.mark.parametrize("record", ["envy-fingerprint.blake3", "envy-ingredients.json"])
def test_a_record_twice(tmp_path, exported, record):
    """Only one of two records could be the signed one, so neither is believed."""
    target = tmp_path / "twice.tar"
    with tarfile.open(target, "w") as tar:
        for member, data in exported_members(exported):
            for _ in range(2 if member.name.endswith(record) else 1):
                member.size = len(data or b"")
                tar.addfile(member, io.BytesIO(data or b""))
    with pytest.raises(ArchiveError, match=f"{record} is in it twice"):
        take(tmp_path, target)


@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_digests_of_what_is_unpacked(tmp_path, umask):
    """They are noted while files are written, unless a file names this cache and has to be read.

    Each file has its mode then, whatever the umask.
    """
    made = make_entry(tmp_path / "first", text=f"{tmp_path}/second/assets/ and so on", count=2)
    written = WrittenDigests(search_roots(str(tmp_path / "second"), ()), clock=lambda: 1 << 62)
    unpacked = UnpackedEntry(made.name, KEY, made.root, str(tmp_path / "new"), written=written)
    unpacked.recorded = read_fingerprint(made)
    unpacked.payload = open_below(str(tmp_path / "new/asset"))
    unpacked.payload.real_folder(("bin",))
    found = {}
    for parts in (("bin", "x"), ("1",)):
        data = made.asset_dir.joinpath(*parts).read_bytes()
        before = os.umask(umask)
        try:
            unpacked.write(parts, [data[:1], data[1:]])
        finally:
            os.umask(before)
        status = (tmp_path / "new/asset").joinpath(*parts).stat()
        assert status.st_mode & 0o777 == 0o444
        written.settle()
        found[parts] = written.find(status)
        if status.st_ctime_ns % 1_000_000 == 0:  # as of a file system that counts in long ticks
            found[parts] = None if parts == ("bin", "x") else blake3(b"1").hexdigest()
    unpacked.close()
    assert found == {("bin", "x"): None, ("1",): blake3(b"1").hexdigest()}


def test_the_index_is_signed_in_place(exported):
    """The signature stands directly behind the index."""
    names = [member.name for member, _ in exported_members(exported)]
    assert names[1] == SIGNATURE


@pytest.mark.parametrize(("count", "is_whole"), [(3, True), (2500, False)])
def test_the_beginning_of_a_file(tmp_path, count, is_whole):
    """The digests of the records come first, and the fingerprint of a small entry soon after."""
    entry = make_entry(tmp_path / "first", count=count)
    path = tmp_path / "whole.tar.zst"
    write_export_file(str(path), [entry], workers=0)
    head = read_head(path, 90 << 10, tmp_path, accept=lambda _index, _signature: None)
    record = Path(entry.at("envy-fingerprint.blake3")).read_bytes()
    assert head.digests["envy-fingerprint.blake3"] == blake3(record).hexdigest()
    assert (head.fingerprint is not None) == is_whole
