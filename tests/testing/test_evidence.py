"""Rows of evidence: what they notice, and what they refuse to say."""

import os
import time

import pytest

from envy.testing.consulted import Setting, Unkept, rows_of
from envy.testing.evidence import (
    FILE,
    FOLDER,
    LISTING,
    MISSING,
    NAMES,
    REAL,
    STATUS,
    VARIABLE,
    Fact,
    Unknown,
    Unsettled,
    changes,
    decode_facts,
    encode_facts,
    observe,
    recheck,
)

LATER = time.time_ns() + 10**12  # everything here is older


def row(kind, subject, environment=None, *, since=LATER):
    return observe(kind, str(subject), environment or {}, since=since)


def changed(fact, environment=None, *, settled=LATER):
    return changes([fact], environment or {}, settled=settled)[0]


def test_content_decides_and_marks_are_renewed(tmp_path):
    """A touched file is unchanged and gets its new mark; another content or mode is a change."""
    path = tmp_path / "file"
    path.write_text("one")
    fact = row(FILE, path)
    before = fact.mark
    os.utime(path, (1, 1))
    assert changes([fact], {}, settled=LATER) == ([], True)
    assert fact.mark != before
    path.chmod(0o700)
    assert changed(fact) == [f"{path} changed"]
    path.chmod(0o644)
    path.write_text("two")
    assert changed(fact) == [f"{path} changed"]
    path.unlink()
    assert changed(fact) == [f"{path} was removed"]
    assert changed(row(FILE, path)) == []
    missing = row(FILE, path)
    path.write_text("")
    assert changed(missing) == [f"{path} is there now"]


def test_a_mark_of_a_moment_ago_is_not_trusted(tmp_path):
    """What changed since the given moment has no row, and its mark is not renewed."""
    path = tmp_path / "file"
    path.write_text("one")
    with pytest.raises(Unsettled):
        row(FILE, path, since=0)
    with pytest.raises(Unsettled):
        row(STATUS, path, since=0)
    fact = row(FILE, path)
    os.utime(path, (1, 1))
    before = fact.mark
    assert changes([fact], {}, settled=0) == ([], False)
    assert fact.mark == before


def test_folders_by_the_names_in_them(tmp_path):
    """A new name is a change; a hidden one only where all names count; a written file is none."""
    folder, listing = row(FOLDER, tmp_path), row(LISTING, tmp_path)
    (tmp_path / ".hidden").touch()
    assert changed(folder) == []
    assert changed(listing) == [f"{tmp_path} changed"]
    (tmp_path / "new").touch()
    assert changed(folder) == [f"{tmp_path} changed"]
    (tmp_path / "new").unlink()
    assert changed(folder) == []


def test_status_shows_size_time_mode_and_links(tmp_path):
    """Of a file all that a status shows counts, of a folder only what it is."""
    path, link = tmp_path / "file", tmp_path / "link"
    path.write_text("one")
    link.symlink_to("file")
    facts = [row(STATUS, one) for one in (path, link, tmp_path, tmp_path / "gone")]
    assert changes(facts, {}, settled=LATER, most=9)[0] == []
    os.utime(path, (1, 1))
    (tmp_path / "gone").touch()
    found = changes(facts, {}, settled=LATER, most=9)[0]
    assert found == [f"{path} changed", f"{link} changed", f"{tmp_path / 'gone'} is there now"]
    real = row(REAL, link)
    link.unlink()
    link.symlink_to(tmp_path)
    assert changed(real) == [f"{link} changed"]


def test_variables_by_value_and_by_name():
    """A variable is said to be set, unset or changed; names with a prefix count as a set."""
    one, other = row(VARIABLE, "A", {"A": "1"}), row(VARIABLE, "B")
    assert changed(one, {"A": "2"}) == ["variable A changed"]
    assert changed(one) == ["variable A is unset now"]
    assert changed(other, {"B": ""}) == ["variable B is set now"]
    names = row(NAMES, "GO CGO_", {"GOOS": "x", "HOME": "y"})
    assert changed(names, {"GOOS": "z"}) == []
    assert changed(names, {"GOOS": "z", "CGO_X": ""}) == ["other variables GO*, CGO_* are set"]


def test_rows_survive_as_text(tmp_path):
    """Rows are read as written, and renewed in place; names that break lines are refused."""
    path = tmp_path / "fi le"
    path.write_text("x")
    facts = [row(FILE, path), row(VARIABLE, "A"), row(FILE, "/nowhere/é"), row(FILE, "/dev/null")]
    text = encode_facts(facts)
    assert encode_facts(decode_facts(text)) == text
    assert recheck(text, {}, settled=LATER) == ([], "")
    os.utime(path, (1, 1))
    found, renewed = recheck(text, {}, settled=LATER)
    assert found == []
    assert renewed.splitlines()[1:] == text.splitlines()[1:]
    assert recheck(renewed, {}, settled=LATER) == ([], "")
    assert recheck(text, {"A": "1"}, settled=LATER)[0] == ["variable A is set now"]
    for name in ("a\tb", "a\nb"):
        with pytest.raises(Unknown):
            row(FILE, tmp_path / name)


@pytest.mark.parametrize(
    "text",
    ["x", "file\ta\tb", "file\t1 2\tb\tc", "file\t1 a 3 4\tb\tc", "kind\t\t\tc", "\n", "file\t-"],
)
def test_damaged_rows_are_errors(text):
    """A text that is no row is a ValueError, and nothing else."""
    with pytest.raises(ValueError):  # noqa: PT011
        decode_facts(text)
    with pytest.raises(ValueError):  # noqa: PT011
        recheck(text, {}, settled=LATER)


# -- what tests consulted --------------------------------------------------------------------------


def setting(folder, *, names=(), environment=None, since=LATER):
    return Setting(directory=str(folder), names=names, environment=environment or {}, since=since)


def test_names_follow_the_working_folder(tmp_path):
    """Relative names are below the folder at that moment; what is a folder is a listing."""
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "file").touch()
    consulted = [
        ("open", "inner"), ("chdir", f"{tmp_path}/inner"), ("open", "file"), ("stat", "file"),
        ("getenv", "A"), ("getenv", "PWD"), ("open", "/dev/null"),
    ]  # fmt: skip
    found = rows_of(consulted, setting(tmp_path))
    assert [(fact.kind, fact.subject) for fact in found] == [
        (LISTING, f"{tmp_path}/inner"),
        (FILE, f"{tmp_path}/inner/file"),
        (STATUS, f"{tmp_path}/inner/file"),
        (VARIABLE, "A"),
        (FILE, "/dev/null"),
    ]


def test_what_changed_during_the_run_is_not_kept(tmp_path):
    """A written file, and one that may have been removed, prove nothing."""
    (tmp_path / "file").touch()
    now = setting(tmp_path, names=["file", "removed"], since=0)
    for name in ("file", "removed"):
        with pytest.raises(Unkept, match=f"{name} changed while the tests ran"):
            rows_of([("open", name)], now)
    [fact] = rows_of([("open", "never")], now)
    assert fact.value == MISSING
    with pytest.raises(Unkept, match="unknown line"):
        rows_of([("write", "x")], now)


def test_temporary_names_are_nobodys(tmp_path):
    """A random name among temporary files was never there; a fixed one may have been."""
    now = setting("/", environment={"TMPDIR": str(tmp_path)}, since=0)
    assert len(rows_of([("open", f"{tmp_path}/TestX1234567/001/f")], now)) == 1
    assert rows_of([("open", str(tmp_path))], now) == []
    with pytest.raises(Unkept):
        rows_of([("open", f"{tmp_path}/state.json")], now)


def test_a_fact_can_be_built_by_hand():
    """Rows are plain data."""
    assert encode_facts([Fact(FILE, "s", "v", "m")]) == "file\tm\tv\ts"
