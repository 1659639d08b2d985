"""Relocation of entries: real files, moved from one cache root to another, and used there."""

import bz2
import contextlib
import gzip
import io
import json
import lzma
import os
import py_compile
import shutil
import sqlite3
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

import pytest

from envy.cache.entry_key import Ingredients, as_json, entry_key
from envy.cache.explanation import format_key_record
from envy.cache.layout import CacheLayout
from envy.cache.python_records import digest_in_record
from envy.cache.read import lookup
from envy.cache.relocate import Relocatable, relocatable_entry, relocate, why_not_relocatable
from envy.cache.verify import read_fingerprint, verify
from envy.cache.write import begin_attempt, publish

GN = Ingredients(identity="local.gn@r0")
KEY = entry_key(GN)
CC = shutil.which("cc")
needs_cc = pytest.mark.skipif(CC is None, reason="there is no C compiler `cc`")


class Moves:
    """A cache that is built under one root, and then moved."""

    def __init__(self, folder, name="cache-with-a-long-name"):
        self.folder = folder
        self.root = folder / name

    @property
    def entry(self):
        return CacheLayout(self.root).entry("local.gn@r0", "linux-x86_64", KEY)

    @property
    def asset(self):
        return self.entry.asset_dir

    def build(self, files=None, make=lambda _asset: None, relocate=()):
        """Publish an entry with these files; `{}` in a text is its own path."""
        attempt = begin_attempt(self.entry, KEY)
        for name, content in (files or {}).items():
            path = self.asset / name
            path.parent.mkdir(parents=True, exist_ok=True)
            text = os.fsencode(content) if isinstance(content, str) else content
            path.write_bytes(text.replace(b"{}", os.fsencode(self.asset)))
            path.chmod(0o755)
        make(self.asset)
        notes = {"key": "local.gn@r0", "relocate": list(relocate)}
        publish(attempt, format_key_record(as_json(GN), notes))
        return self

    def move(self, name):
        """Move the cache below another name, and rewrite the entry; return why not, or ""."""
        old, self.root = self.root, self.folder / name
        self.root.parent.mkdir(parents=True, exist_ok=True)
        old.rename(self.root)
        assert not lookup(self.entry, KEY).hit
        why = why_not_relocatable(self.entry)
        assert relocate(self.entry, KEY) == why
        if not why:
            assert lookup(self.entry, KEY).hit
            assert verify(self.entry) == []
        return why


@pytest.fixture
def moves(tmp_path):
    return Moves(tmp_path)


def test_the_digests_of_a_python_package(moves):
    """RECORD has the new digests of rewritten files; all other lines stay as they are."""
    site = "lib/python3/site-packages"
    script = "#!{}/bin/python\nimport tool\n"

    def make(asset):
        rows = []
        for name, path in (
            ("../../../bin/tool", "bin/tool"),
            ('"../../../bin/a,b"', "bin/a,b"),
            ("tool.py", f"{site}/tool.py"),
        ):
            data = (asset / path).read_bytes()
            rows.append(f"{name},{digest_in_record(data).decode()},{len(data)}\r\n")
        rows.append("../../../bin/other,sha256=wrong,5\n")
        rows.append("tool-1.dist-info/RECORD,,\n")
        (asset / f"{site}/tool-1.dist-info").mkdir()
        (asset / f"{site}/tool-1.dist-info/RECORD").write_text("".join(rows), newline="")

    files = {"bin/tool": script, "bin/a,b": script, "bin/other": script, f"{site}/tool.py": "x"}
    moves.build(files, make)
    before = (moves.asset / f"{site}/tool-1.dist-info/RECORD").read_bytes().splitlines()
    assert moves.move("another") == ""
    lines = (moves.asset / f"{site}/tool-1.dist-info/RECORD").read_bytes().splitlines()
    for line, path in zip(lines[:3], ("bin/tool", "bin/a,b", f"{site}/tool.py"), strict=True):
        data = (moves.asset / path).read_bytes()
        assert line.endswith(f",{digest_in_record(data).decode()},{len(data)}".encode())
    assert lines[2:] == before[2:]
    assert lines[0] != before[0]


def compiled(asset, name, code, *flags):
    """Compile a program or library of a package; its own path is PREFIX."""
    target = asset / name
    target.parent.mkdir(parents=True, exist_ok=True)
    command = [CC, "-O2", f'-DPREFIX="{asset}"', "-x", "c", "-", "-o", str(target), *flags]
    subprocess.run(command, input=code, text=True, check=True)
    return target


def output(*command):
    return subprocess.run([*map(str, command)], check=True, capture_output=True, text=True).stdout


def test_text_files_and_links(moves):
    """Texts, links and `#!` lines are rewritten without being named, for a root of any length."""
    texts = {
        "lib/pkgconfig/x.pc": "prefix={}\nlibdir=${prefix}/lib\nLibs: -L{}/lib -lx\n",
        "lib/cmake/x.cmake": 'set(X_DIR "{}/lib")\n',
        "lib/libx.la": "dlname='libx.so'\nlibdir='{}/lib'\n",
        "bin/tool": "#!{}/bin/sh -e\necho {}\n",
        "pyvenv.cfg": "home = {}/bin\n",
        "latin": "caf\udce9 {}\n",  # not UTF-8
        "none": "/assets/ alone\n",
    }
    moves.build(texts, lambda asset: (asset / "link").symlink_to(asset / "bin"))
    assert relocatable_entry(moves.entry) == Relocatable()
    for name in ("c", "a-name-that-is-much-longer-than-the-first/one/was"):
        assert moves.move(name) == ""
        for path, text in texts.items():
            expected = os.fsencode(text.replace("{}", str(moves.asset)))
            assert (moves.asset / path).read_bytes() == expected
        assert (moves.asset / "link").readlink() == moves.asset / "bin"
        assert (moves.asset / "bin/tool").stat().st_mode & 0o777 == 0o555


FOLDED = r"""
#include <stdio.h>
#include <string.h>
static const char prefix[] = PREFIX;
void *(*volatile copy)(void *, const void *, size_t) = memcpy;
int main(void) {
    char path[4096], text[100];
    copy(path, prefix, strlen(prefix));
    strcpy(path + strlen(prefix), "/share/text");
    FILE *file = fopen(path, "r");
    puts(file && fgets(text, sizeof text, file) ? text : path);
    return 0;
}
"""


@needs_cc
def test_a_folded_length(moves):
    """A program that the compiler gave the length of its path finds its file."""
    moves.build({"share/text": "found"}, lambda asset: compiled(asset, "bin/folded", FOLDED))
    assert relocatable_entry(moves.entry).longest_root == len(str(moves.root))
    for name in ("short", "s", "cache-with-a-long-nam"):
        assert moves.move(name) == ""
        assert output(moves.asset / "bin/folded") == "found\n"


@needs_cc
@pytest.mark.parametrize("more", range(0, 32, 5))
def test_a_path_that_is_copied_in_pieces(tmp_path, more):
    """A program of whose path the compiler made pieces works elsewhere, or is named.

    The length of the path decides how it is copied.
    """
    moves = Moves(tmp_path, "cache-with-a-long-name" + "x" * more)
    code = FOLDED.replace("    copy(", "    memcpy(")
    moves.build({"share/text": "found"}, lambda asset: compiled(asset, "bin/folded", code))
    why = moves.move("short")
    if why:
        assert "holds it in pieces, which a compiler has made of it" in why
    else:
        assert output(moves.asset / "bin/folded") == "found\n"


TAILS = r"""
#include <stdio.h>
int main(int count, char **words) {
    puts(count > 1 ? "share/text" : PREFIX "/share/text");
    puts(count > 1 ? "text" : PREFIX);
    return words[0] == 0;
}
"""


@needs_cc
def test_merged_tails(moves):
    """A string that is the tail of a path, in the same bytes, stays as it is."""
    moves.build(make=lambda asset: compiled(asset, "bin/tails", TAILS, "-Os", "-Wl,-O2"))
    program = moves.asset / "bin/tails"
    assert program.read_bytes().count(b"share/text\0") == 1
    assert moves.move("short") == ""
    program = moves.asset / "bin/tails"
    first, second = output(program).splitlines()
    assert os.path.normpath(first) == f"{moves.asset}/share/text"
    assert os.path.normpath(second) == str(moves.asset)
    assert output(program, "x") == "share/text\ntext\n"


def with_library(asset):
    compiled(asset, "lib/sub/libx.so", "int x(void) { return 7; }", "-shared", "-fPIC")
    code = '#include <stdio.h>\nint x(void);\nint main(void) { printf("%d", x()); return 0; }'
    flags = [f"-Wl,-rpath,/nowhere:{asset}/lib/sub", f"-L{asset}/lib/sub", "-lx"]
    compiled(asset, "bin/uses", code, "-xnone", *flags)


@needs_cc
def test_rpath(moves):
    """A folder in an RPATH becomes relative to the program, so that the new root may be longer."""
    moves.build(make=with_library)
    assert relocatable_entry(moves.entry).longest_root is None
    assert moves.move("a-longer/name/for/the/cache/than/the/first/one/was") == ""
    assert output(moves.asset / "bin/uses") == "7"
    assert b":$ORIGIN////" in (moves.asset / "bin/uses").read_bytes()
    # It holds no root any more.
    assert read_fingerprint(moves.entry).rows["bin/uses"].holds == ()


@needs_cc
def test_rpath_with_room(moves):
    """A folder in an RPATH stays absolute where it has room: a library may be opened by a link."""

    def make(asset):
        with_library(asset)
        code = "int x(void); int y(void) { return x(); }"
        flags = ["-shared", "-fPIC", "-xnone", f"-L{asset}/lib/sub", "-lx"]
        compiled(asset, "lib/other/liby.so", code, *flags, f"-Wl,-rpath,{asset}/lib/sub")
        (asset / "y.so").symlink_to("lib/other/liby.so")

    def opened():
        code = f"import ctypes; print(ctypes.CDLL({str(moves.asset / 'y.so')!r}).y())"
        return output(sys.executable, "-c", code)

    moves.build(make=make)
    assert opened() == "7\n"
    for name in ("short", "cache-with-a-long-nam"):
        assert moves.move(name) == ""
        assert opened() == "7\n"
        assert output(moves.asset / "bin/uses") == "7"
        assert relocatable_entry(moves.entry).longest_root is None


@needs_cc
def test_a_longer_root(moves):
    """A program has no room for a longer root; the reason names file, lengths and remedies."""
    moves.build({"share/text": "found"}, lambda asset: compiled(asset, "bin/folded", FOLDED))
    room = len(str(moves.root))
    why = moves.move("cache-with-a-longer-name")
    assert why == (
        "bin/folded contains that path and has room for a cache root of at most "
        f"{room} bytes, and this one has {room + 2}: choose a shorter one, or say relocate = "
        '"padded" in the recipe'
    )


PYTHON = "#!{}/bin/python3\nimport sys\nprint(sys.argv[1:], __name__)\n"
FAR = "/".join(["a-folder-whose-name-is-long-enough" * 4] * 2)


def test_a_long_first_line(moves):
    """A `#!` line that the system would cut off lets /bin/sh execute the interpreter."""
    files = {"bin/tool": PYTHON, "bin/with-flag": PYTHON.replace("python3\n", "python3 -E\n")}
    python = os.path.realpath(sys.executable)
    moves.build(files, lambda asset: (asset / "bin/python3").symlink_to(python))
    assert moves.move(FAR) == ""
    for name in files:
        program = moves.asset / name
        assert program.read_bytes().startswith(b"#!/bin/sh\n")
        assert output(program, "a b", "'") == "['a b', \"'\"] __main__\n"
    assert moves.move("short") == ""
    assert output(moves.asset / "bin/tool", "x") == "['x'] __main__\n"


@pytest.mark.skipif(shutil.which("perl") is None, reason="there is no perl")
def test_a_long_first_line_of_perl(moves):
    """So does that of a Perl script, which begins at its own line again."""
    moves.build(
        {"bin/tool": '#!{}/bin/perl -w\nprint "$^W @ARGV\\n", <DATA>;\n__END__\ndata\n'},
        lambda asset: (asset / "bin/perl").symlink_to(shutil.which("perl")),
    )
    assert moves.move(FAR) == ""
    assert output(moves.asset / "bin/tool", "x y") == "1 x y\ndata\n"


def test_a_long_first_line_of_an_unknown_interpreter(moves):
    """If no form is known that the interpreter passes over, the script is named."""
    moves.build({"bin/tool": "#!{}/bin/unknown\n"})
    assert moves.move(FAR).startswith(
        "bin/tool contains that path and would begin with a line (#!) of "
    )


def zipped(text):
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("first", "nothing")
        archive.writestr("second", text)
    return held.getvalue()


def database(text):
    """A SQLite database in which a path is looked up by an index."""
    with tempfile.TemporaryDirectory() as folder:
        with contextlib.closing(sqlite3.connect(f"{folder}/x")) as connection:
            connection.execute("CREATE TABLE t (path TEXT PRIMARY KEY)")
            connection.execute("INSERT INTO t VALUES (?)", (text.decode(),))
            connection.commit()
        return Path(folder, "x").read_bytes()


def tarred(text):
    """A tar archive with a path as the target of a link, and so in the sum of a header."""
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w", format=tarfile.GNU_FORMAT) as archive:
        member = tarfile.TarInfo("link")
        member.type, member.linkname = tarfile.SYMTYPE, text.decode()
        archive.addfile(member)
    return held.getvalue()


def zip_application(text):
    """A program of Python that is a zip archive, with a path in a member that is not compressed."""
    held = io.BytesIO(b"#!/usr/bin/python3\n")
    held.seek(0, io.SEEK_END)
    with zipfile.ZipFile(held, "a") as archive:
        archive.writestr("__main__.py", text)
    return held.getvalue()


def mach_o(text):
    """A 64-bit Mach-O file with the load command of a signature."""
    header = b"\xcf\xfa\xed\xfe" + bytes(12) + (1).to_bytes(4, "little") + bytes(12)
    return header + b"\x1d\0\0\0\x10\0\0\0" + bytes(8) + text


HIDDEN = {
    "UTF-16": (lambda text: b"x\0" + text.decode().encode("utf-16-le"), "holds it in UTF-16"),
    "UTF-16, the other order": (
        lambda text: text.decode().encode("utf-16-be"),
        "holds it in UTF-16",
    ),
    "gzip": (gzip.compress, "holds it in data compressed with gzip"),
    "bzip2": (bz2.compress, "holds it in data compressed with bzip2"),
    "xz": (lzma.compress, "holds it in data compressed with xz"),
    "zip": (zipped, "holds it in a compressed member, second"),
    "SQLite": (database, "is a database, which sorts or hashes what it holds"),
    "GDBM": (lambda text: b"\xcf\x9aW\x13" + bytes(60) + text, "is a database, which sorts"),
    "tar": (tarred, "has a checksum over what it holds"),
    "zip after a line": (zip_application, "has a checksum over what it holds"),
    "PNG": (lambda text: b"\x89PNG\r\n\x1a\n" + text, "has a checksum over what it holds"),
    "Mach-O": (mach_o, "has a code signature of macOS"),
    "PHP": (lambda text: b'a:1:{i:0;s:%d:"%b";}' % (len(text), text), "has its length written"),
    "netstring": (lambda text: b"%d:%b," % (len(text), text), "has its length written before it"),
    "bencode": (lambda text: b"d4:path%d:%be" % (len(text), text), "has its length written"),
}


@pytest.mark.parametrize("form", HIDDEN)
def test_forms_that_cannot_be_rewritten(moves, form):
    """A path in such a form is found, and its file named with the form."""
    write, why = HIDDEN[form]

    def make(asset):
        (asset / "file").write_bytes(write(os.fsencode(asset / "share")))

    moves.build({"other": "{}"}, make)
    assert relocatable_entry(moves.entry).why_not.startswith(f"file {why}")
    assert moves.move("short").startswith(f"file contains that path and {why}")


def test_a_line_before_a_zip_archive(moves):
    """A path before a zip archive is in none of its checksums."""

    def make(asset):
        line = b"#!%b/bin/python3\n" % os.fsencode(asset)
        data = zip_application(b"print(__name__)").partition(b"\n")[2]
        (asset / "tool").write_bytes(line + data)

    moves.build(make=make)
    assert moves.move("short") == ""
    with zipfile.ZipFile(moves.asset / "tool") as archive:
        assert archive.testzip() is None


def test_damaged_compressed_data(moves):
    """Damaged data, and what only looks like compressed data, hold what can be read of them."""
    moves.build(
        {
            "cut": gzip.compress(b"x" * 1000)[:-9],
            "short": b"\x1f\x8b",
            "zip": b"PK\x03\x04 and nothing else",
            "elf": b"\x7fELF",
            "zst": b"\x28\xb5\x2f\xfd{}",
            "other": "{}",
        }
    )
    assert moves.move("short") == ""


@needs_cc
def test_compressed_debug_information(moves):
    """Compressed sections of a program are searched."""

    def make(asset):
        compiled(asset, "lib/x.o", FOLDED.replace("PREFIX", '""'), "-c", "-g", "-gz=zlib",
                 f"-fdebug-prefix-map={Path.cwd()}={asset}")  # fmt: skip

    moves.build({"other": "{}"}, make)
    if b"assets/local.gn" in (moves.asset / "lib/x.o").read_bytes():
        pytest.skip("this compiler does not compress debug information")
    assert relocatable_entry(moves.entry).why_not == (
        "lib/x.o holds it in compressed debug information"
    )


def test_a_length_that_does_not_count(moves):
    """`relocate` of the recipe names texts in which the number before a path is no length."""

    def make(asset):
        text = os.fsencode(asset)
        (asset / "file").write_bytes(b"%d:%b," % (len(text), text))

    moves.build(make=make, relocate=["fi*"])
    assert relocatable_entry(moves.entry).why_not == ""
    assert moves.move("short") == ""


def test_numbers_before_paths(moves):
    """A line or a port before a path is no length."""
    moves.build({"file": "80:{}\n12:34:{}:x\n1:{}\nx='3:{}'\n"})
    assert moves.move("short") == ""


MODULE = """path = '{}'


def where():
    return where.__code__.co_filename
"""


def test_compiled_modules(moves):
    """Compiled Python modules stay valid under a shorter root, and are left out under a longer."""

    def make(asset):
        for mode in ("TIMESTAMP", "UNCHECKED_HASH"):
            source = asset / "lib" / f"{mode.lower()}.py"
            source.parent.mkdir(exist_ok=True)
            source.write_text(MODULE.format(asset))
            py_compile.compile(str(source), invalidation_mode=py_compile.PycInvalidationMode[mode])

    def where(name):
        code = (
            f"import sys; sys.path.insert(0, {str(moves.asset / 'lib')!r}); import {name} as m; "
            "print(m.path, m.where(), sep='\\n')"
        )
        run = subprocess.run(
            [sys.executable, "-Bvc", code], check=True, capture_output=True, text=True
        )
        compiled = [line for line in run.stderr.splitlines() if f"{name}.py" in line]
        paths = list(map(os.path.normpath, run.stdout.splitlines()))
        assert paths == [str(moves.asset), str(moves.asset / "lib" / f"{name}.py")]
        return any("matches" in line for line in compiled)

    moves.build(make=make)
    assert moves.move("short") == ""
    assert where("timestamp")
    assert where("unchecked_hash")
    assert relocatable_entry(moves.entry).longest_root is None
    assert moves.move("a-name-that-is-longer-than-the-first-one-was") == ""
    assert not where("timestamp")
    assert not list(moves.asset.rglob("*.pyc"))


def test_a_path_with_a_special_character(moves):
    """A text would need quotes for some roots; then it is named."""
    moves.build({"x.pc": "prefix={}\n"})
    assert moves.move("a cache") == (
        "x.pc contains that path and is a text, and the path of this cache has ' ' in it"
    )


def test_an_entry_of_an_earlier_envy(moves):
    """A fingerprint without places is enough: the files are searched again."""
    moves.build({"x.pc": "prefix={}\n"})
    path = moves.entry.fingerprint
    first, _, rest = path.read_text().partition("\n")
    header = json.loads(first)
    del header["places"], header["prefixes"]
    path.write_text(json.dumps(header) + "\n" + rest)
    assert relocatable_entry(moves.entry).why_not.startswith("it was published by an earlier envy")
    assert moves.move("short") == ""
    assert (moves.asset / "x.pc").read_text() == f"prefix={moves.asset}\n"


def test_places_that_are_wrong(moves):
    """A file with other places than its fingerprint says is damaged."""
    moves.build({"x.pc": "prefix={}\n"})
    (moves.entry.asset_dir / "x.pc").chmod(0o644)
    (moves.entry.asset_dir / "x.pc").write_text(f"--prefix={moves.asset}\n")
    assert moves.move("short") == "it is damaged: x.pc is not what its fingerprint says"
