"""The lock as text: what is written is read again, and nothing else is."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envy.host.named_platforms import NAMED_PLATFORMS
from envy.limits import adopt_limits
from envy.locking.lock import EVERYWHERE, LockEntry, LockError, ProjectLock
from envy.locking.text import DamagedLock, lock_text, parse_lock, read_lock, readable_part

DIGEST, COMMIT = "sha256:" + "ab" * 32, "12" * 20
GN = 'local.gn@r1{flags="-O2 -g"}'
LOCK = ProjectLock(
    ("darwin-arm64", "linux-x86_64"),
    (
        LockEntry(GN, "choice", "ninja", EVERYWHERE, ("envy.ninja@r1",)),
        LockEntry(GN, "commit", "https://h/x.git#main", EVERYWHERE, (COMMIT,)),
        LockEntry(GN, "download", "https://h/x y.tgz", EVERYWHERE, ("x y.tgz", DIGEST, "12")),
        LockEntry(GN, "recipe", "recipes/gn.lua", EVERYWHERE, ("-",)),
        LockEntry("local.z@r1", "download", "pypi:z==1", "darwin-arm64", ("a.whl", DIGEST, "-")),
        LockEntry("local.z@r1", "download", "pypi:z==1", "linux-x86_64", ("b.whl", DIGEST, "7")),
        LockEntry("local.z@r1", "recipe", "https://h/z.git#v1", EVERYWHERE, (f"commit:{COMMIT}",)),
        LockEntry(
            "local.z@r1",
            "release",
            "pypi:six; sys_platform == 'linux'",
            EVERYWHERE,
            ("1.0", "a.whl", DIGEST, "-", "b.tgz", DIGEST, "7"),
        ),
        LockEntry("local.z@r1", "requirements", "python>=3.11", EVERYWHERE, (DIGEST,)),
        LockEntry("local.z@r1", "unlocked", "its fetch acts", "linux-x86_64"),
    ),
)
TEXT = f"""\
# What envy.lua resolves to. `envy lock` writes this file: commit it, and do not edit it.
format 1
envy 0.1.0
platform darwin-arm64
platform linux-x86_64
"local.gn@r1{{flags=\\"-O2 -g\\"}}" choice * ninja envy.ninja@r1
"local.gn@r1{{flags=\\"-O2 -g\\"}}" commit * https://h/x.git#main {COMMIT}
"local.gn@r1{{flags=\\"-O2 -g\\"}}" download * "https://h/x y.tgz" "x y.tgz" {DIGEST} 12
"local.gn@r1{{flags=\\"-O2 -g\\"}}" recipe * recipes/gn.lua -
local.z@r1 download darwin-arm64 pypi:z==1 a.whl {DIGEST} -
local.z@r1 download linux-x86_64 pypi:z==1 b.whl {DIGEST} 7
local.z@r1 recipe * https://h/z.git#v1 commit:{COMMIT}
local.z@r1 release * "pypi:six; sys_platform == 'linux'" 1.0 a.whl {DIGEST} - b.tgz {DIGEST} 7
local.z@r1 requirements * python>=3.11 {DIGEST}
local.z@r1 unlocked linux-x86_64 "its fetch acts"
end
"""


def test_the_text_is_known_to_the_byte():
    """The text of a lock, which has to stay as it is in this format."""
    assert lock_text(LOCK) == TEXT
    assert parse_lock(TEXT.encode()) == LOCK


def test_line_ends_of_windows_are_read():
    """A checkout may have changed the line ends."""
    assert parse_lock(TEXT.replace("\n", "\r\n").encode()) == LOCK


_SUBJECTS = st.text(max_size=12)
_NAMES = st.from_regex(r"[a-z]{1,3}\.[a-z]{1,3}@r[0-9]", fullmatch=True)


@st.composite
def locks(draw):
    """A valid lock: topics are either everywhere or on some platforms."""
    platforms = draw(st.lists(st.sampled_from(sorted(NAMED_PLATFORMS)), unique=True, min_size=1))
    topics = st.tuples(
        _NAMES, st.sampled_from(["recipe", "unlocked", "choice", "version"]), _SUBJECTS
    )
    entries = []
    for package, kind, subject in draw(st.lists(topics, unique=True, max_size=6)):
        named = (draw(_NAMES),)
        values = {"recipe": ("-",), "unlocked": (), "choice": named, "version": named}[kind]
        some = st.lists(st.sampled_from(platforms), unique=True, min_size=1)
        where = draw(st.just([EVERYWHERE]) | some)
        entries += [LockEntry(package, kind, subject, name, values) for name in where]
    return ProjectLock(tuple(sorted(platforms)), tuple(sorted(entries)))


@given(locks(), st.randoms())
def test_round_trip(lock, random):
    """Every lock is read as it was written, has one text in any order, and sorted lines."""
    text = lock_text(lock)
    assert parse_lock(text.encode()) == lock
    entries = random.sample(lock.entries, len(lock.entries))
    assert lock_text(ProjectLock(lock.platforms[::-1], tuple(entries))) == text
    assert text.isascii()


@given(st.integers(0, len(TEXT) - 2))
def test_a_lock_that_was_cut_off_is_refused(size):
    """No part of a lock counts as a lock, and the error names the command in one line."""
    with pytest.raises(LockError) as caught:
        parse_lock(TEXT[:size].encode())
    assert "`envy lock`" in str(caught.value)
    assert "\n" not in str(caught.value)


@settings(max_examples=50)
@given(st.binary(max_size=60), st.integers(0, len(TEXT)))
def test_any_damage_is_an_error_of_one_line_or_a_lock(tmp_path_factory, junk, at):
    """Bytes in the middle of a lock never lead to another kind of error; the rest can be read."""
    damaged = TEXT.encode()[:at] + junk + TEXT.encode()[at:]
    try:
        parse_lock(damaged)
        message = "`envy lock`"
    except DamagedLock as error:
        message = str(error)
        path = tmp_path_factory.mktemp("damaged") / "envy.lock"
        path.write_bytes(damaged)
        lock, problem = readable_part(path)
        assert message.startswith(problem)
        assert sum(entry in lock.entries for entry in LOCK.entries) >= 5
    except LockError as error:
        message = str(error)
    assert "`envy lock`" in message
    assert "\n" not in message


ROW = f"local.z@r1 download linux-x86_64 pypi:z==1 b.whl {DIGEST} 7"
DAMAGES = {
    f"{ROW}\n{ROW}": r"z@r1 download pypi:z==1: it is listed twice",
    ROW.replace("linux-x86_64", "*"): r"z@r1 download pypi:z==1: it is listed twice",
    ROW.replace("b.whl", "../b.whl"): r"pypi:z==1: '\.\./b\.whl' is not a plain file name",
    ROW.replace("b.whl", r'"a\\\\b"'): r"is not a plain file name",
    ROW.replace("b.whl", ".."): r"'\.\.' is not a plain file name",
    ROW.replace("b.whl", r'"a\u0000b"'): r"is not a plain file name",
    ROW.replace("b.whl", "b" * 256): r"the file name is too long",
    ROW.replace(DIGEST, "sha256:abcd"): r"'sha256:abcd' is not a digest",
    ROW.replace("sha256", "crc"): r"is not a digest",
    ROW.replace(DIGEST, "md5:" + "0" * 32): r"'md5:0{32}' is not a digest",
    ROW.replace(DIGEST, "sha1:" + "0" * 40): r"'sha1:0{40}' is not a digest",
    ROW.removesuffix("7") + "-7": r"'-7' is not a size",
    ROW.removesuffix("7") + "9" * 30: r"is not a size",
    ROW.removesuffix(" 7"): r"it has 2 values instead of 3",
    ROW.replace("linux-x86_64", "linux-arm64"): r"the platform linux-arm64 is not one of this lock",
    ROW.replace("download", "digest"): r"there is no kind of entry 'digest'",
    'local.a@r1 version * x ""': r"'' is not a version",
    ROW.replace("local.z@r1", "nothing"): r"it does not begin with a package",
    ROW + " ": r"local\.z@r1: the line is not made of words",
    '"local.z@r1': r"the line is not made of words",
    "local.z@r1 recipe": r"local\.z@r1: the line is too short",
    "local.a@r1 recipe * x sha256:0": r"'sha256:0' is not a digest or commit",
    "local.a@r1 commit * x#y main": r"'main' is not a commit",
    "local.a@r1 choice * x y": r"'y' is not a package",
    "platform plan9-mips": r"platform plan9-mips: there is no such platform",
    "platform darwin-arm64": r"platform darwin-arm64: it is listed twice",
    "envy 0.1 0.2": r"envy: it needs one value",
}


@pytest.mark.parametrize(("row", "message"), DAMAGES.items())
def test_a_damaged_line_names_its_entry(row, message):
    """What is wrong with a line, with its number, its entry and the command that helps."""
    with pytest.raises(LockError, match=message) as caught:
        parse_lock(TEXT.replace(ROW, row).encode())
    assert re.match(r"envy\.lock:1[12]: ", str(caught.value))
    assert str(caught.value).endswith(": run `envy lock`, or restore envy.lock")


@pytest.mark.parametrize(
    "subject", ["six", '"pypi:six\\n-e ."', '"pypi:six; a # b"', "pypi:six[a]"]
)
def test_a_release_is_a_line_of_requirements_and_nothing_else(subject):
    """What a lock says of a release cannot become another line of a requirements file."""
    row = f"local.z@r1 release * {subject} 1.0 a.whl {DIGEST} -\n"
    with pytest.raises(LockError, match="is not about a project of the package index"):
        parse_lock(
            TEXT.replace("local.z@r1 requirements", row + "local.z@r1 requirements").encode()
        )


def test_what_stands_after_the_end():
    """Two locks behind each other are not one, and neither is a lock without its first line."""
    with pytest.raises(LockError, match=r"envy\.lock:18: format: it stands after the end"):
        parse_lock((TEXT + TEXT).encode())
    with pytest.raises(LockError, match=r"the format is missing before it"):
        parse_lock(ROW.encode())
    with pytest.raises(LockError, match=r"envy\.lock:2: it is not UTF-8 text"):
        parse_lock(b"format 1\n\xff")


@pytest.mark.parametrize("rest", ["", "\nnew {things}", "\nplatform a"])
def test_a_newer_format_says_which_envy_reads_it(rest):
    """Nothing else of a newer lock is looked at."""
    with pytest.raises(LockError) as caught:
        parse_lock(f"format 2\nenvy 0.9.1{rest}".encode())
    assert str(caught.value) == (
        "envy.lock was written by a newer envy (its format is 2, not 1, for envy 0.9.1 or newer): "
        "install that envy, or remove envy.lock and run `envy lock`"
    )


MINE, YOURS = ROW, ROW.replace("b.whl", "c.whl")
ADDED = "local.y@r1 recipe * y.lua -"
IN_CONFLICT = TEXT.replace(
    ROW, f"<<<<<<< HEAD\n{MINE}\n||||||| base\nold\n=======\n{ADDED}\n{YOURS}\n>>>>>>> them"
)


def test_conflict_markers(tmp_path):
    """They are refused with the next entry and the command, and then resolved by that command."""
    with pytest.raises(LockError) as caught:
        parse_lock(IN_CONFLICT.encode())
    assert str(caught.value) == (
        "envy.lock:11: it has conflict markers of git at local.z@r1: run `envy lock`, which "
        "resolves them"
    )
    path = tmp_path / "envy.lock"
    path.write_text(IN_CONFLICT)
    merged, problem = readable_part(path)
    added = LockEntry("local.y@r1", "recipe", "y.lua", EVERYWHERE, ("-",))
    assert set(merged.entries) == {*LOCK.entries, added}
    assert problem == "envy.lock:11: it has conflict markers of git at local.z@r1"


def test_files(tmp_path):
    """A missing lock is none; a folder in its place and one that is too large are errors."""
    path = tmp_path / "envy.lock"
    assert read_lock(path) is None
    path.write_text(TEXT)
    assert read_lock(path) == LOCK
    adopt_limits({"lock-file": 100})
    try:
        with pytest.raises(LockError, match=r"larger than 100 bytes, the limit lock-file: .*=200$"):
            read_lock(path)
    finally:
        adopt_limits({})
    path.unlink()
    path.mkdir()
    with pytest.raises(LockError, match=r"is not a plain file: remove it and run `envy lock`$"):
        read_lock(path)
