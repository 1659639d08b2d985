"""Files of the cache that are nested, endless, huge or of another kind count as damaged."""

import os
from pathlib import Path

import pytest
from bounded import outcome_of

from envy.answers.read import answer_path, load_answer
from envy.answers.write import basis_of
from envy.cache.durations import Durations
from envy.cache.entry_key import Ingredients, as_json, entry_key
from envy.cache.explanation import KeyRecord, changes, format_key_record, read_key_record
from envy.cache.inventory import take_inventory
from envy.cache.layout import CacheLayout
from envy.cache.lease import Lease, leased_names
from envy.cache.names import ATTEMPT, FINGERPRINT, INGREDIENTS, MARKER, RECORD
from envy.cache.read import lookup, read_marker
from envy.cache.relocate import relocate
from envy.cache.usage import UseSet, read_uses, record_use
from envy.cache.verify import parse_fingerprint, verify
from envy.cache.write import begin_attempt, publish
from envy.testing.results import LastRun

INGREDIENTS_OF_GN = Ingredients(identity="local.gn@r0")
KEY = entry_key(INGREDIENTS_OF_GN)

DAMAGE = {
    "deep": b"[" * 100_000,
    "deep objects": b'{"format":' * 50_000 + b"1" + b"}" * 50_000,
    "deep but complete": b'{"format":1,"key":' + b"[" * 900 + b"]" * 900 + b"}",
    "not a number": b'{"format":1,"run":1e999,"size":1e999,"pid":NaN,"rows":{}}',
    "no text": b"\xff\xfe\0\0",
    "empty": b"",
    "a device": "/dev/zero",
    "a pipe": os.mkfifo,
    "huge": 300 << 20,
    "a folder": os.mkdir,
}


def damage(path, how):
    """Put something damaged in the place of a file."""
    path = Path(path)
    path.unlink(missing_ok=True)
    if callable(how):
        how(path)
    elif isinstance(how, str):
        path.symlink_to(how)
    elif isinstance(how, int):
        path.touch()
        os.truncate(path, how)
    else:
        path.write_bytes(how)


@pytest.fixture
def layout(tmp_path):
    """A cache with one published entry."""
    made = CacheLayout(tmp_path / "cache")
    entry = made.entry("local.gn@r0", "linux-x86_64", KEY)
    attempt = begin_attempt(entry, KEY)
    (entry.asset_dir / "gn").write_text("gn")
    publish(attempt, format_key_record(as_json(INGREDIENTS_OF_GN), {"key": "local.gn@r0"}))
    return made


@pytest.fixture
def entry(layout):
    return layout.entry("local.gn@r0", "linux-x86_64", KEY)


@pytest.fixture(params=DAMAGE)
def how(request):
    return DAMAGE[request.param]


def test_a_marker(layout, entry, how):
    """A damaged marker is a miss that says so, for every reader."""
    damage(entry.at(MARKER), how)
    found = outcome_of(lookup, entry, KEY)
    assert found[0] == "value", found
    assert not found[1].hit
    assert found[1].reason.startswith("its marker is damaged")
    assert outcome_of(read_marker, entry) == ("value", None)
    kind, inventory = outcome_of(take_inventory, layout)
    assert (kind, [report.complete for report in inventory.entries]) == ("value", [False])


def test_a_fingerprint(layout, entry, how):
    """A damaged fingerprint is reported as such."""
    damage(entry.at(FINGERPRINT), how)
    kind, found = outcome_of(verify, entry)
    assert (kind, list(map(str, found))) == (
        "value",
        ["envy-fingerprint.blake3 is missing or damaged"],
    )
    assert outcome_of(relocate, entry, KEY) == ("value", "it is damaged")
    assert outcome_of(take_inventory, layout)[0] == "value"


def test_a_record_of_a_key(entry, how):
    """A damaged record of a key explains nothing."""
    damage(entry.at(INGREDIENTS), how)
    assert outcome_of(read_key_record, entry) == ("value", None)


def test_the_file_of_an_attempt(layout, entry, how):
    """A damaged file of an attempt is not that of the current attempt, or an error."""
    attempt = begin_attempt(entry, KEY)
    damage(entry.at(ATTEMPT), how)
    kind, found = outcome_of(attempt.is_current)
    assert (kind, found) == ("value", False) or (kind == "error" and how is os.mkdir)


def test_a_record_of_use(layout, how):
    """A damaged record of use is nobody's use."""
    record_use(layout, UseSet(manifest="/p/envy.lua", whole=True, entries={"a": "build"}))
    (path,) = layout.projects_root.rglob(f"*{RECORD}")
    damage(path, how)
    kind, found = outcome_of(read_uses, layout)
    assert kind == "value", found


def test_a_lease(layout, how):
    """A damaged lease names nothing, and no command waits for it."""
    lease = Lease(layout)
    lease.hold(["local.gn@r0/x"])
    (path,) = [path for path in layout.leases_root.iterdir() if path.name.endswith(RECORD)]
    damage(path, how)
    kind, found = outcome_of(leased_names, layout)
    assert kind == "value", found
    lease.release()


def test_remembered_durations(tmp_path, how):
    """Damaged durations are as if nothing were remembered."""
    path = tmp_path / "durations.json"
    damage(path, how)
    assert outcome_of(Durations(str(path)).recall, "a", "b") == ("value", None)


def test_a_stored_answer(tmp_path, how):
    """A damaged answer is none."""
    path = answer_path(str(tmp_path), "/envy.lua")
    Path(path).parent.mkdir()
    damage(path, how)
    assert outcome_of(load_answer, str(tmp_path), "/envy.lua", {}) == ("value", None)
    assert outcome_of(basis_of, path) == ("value", ("", ()))


def test_the_last_run_of_tests(tmp_path, how):
    """A damaged record of failed tests is none."""
    last = LastRun(tmp_path, tmp_path)
    damage(last.path, how)
    assert outcome_of(last.failed) == ("value", None)


@pytest.mark.parametrize(
    "row",
    [
        '["a","file","644",1,"d",[1]]',
        '["a","file","644",1.5,"d",[]]',
        '["a","file",644,1,"d",[]]',
        '[["a"],"file","644",1,"d",[]]',
        '["a","file","644",1,"d"]',
        '{"a":1}',
        '["a","file","644",1,"d",[]],["b","file","644",1,"d",[]]',
        '["a","file","644",1\n"d",[]]',
        '["a","file","644",1\n"d",[]],["b","file","644",1,"d",[]]',
        "",
        "[" * 5000,
    ],
)
def test_rows_of_a_fingerprint_that_envy_does_not_write(row):
    """A fingerprint with a row of another form is damaged."""
    head = '{"format":1,"root":"/","size":1}\n'
    good = '["a","file","644",1,"d",[]]\n'
    assert parse_fingerprint(head + good) is not None
    assert parse_fingerprint(f"{head}{row}\n") is None
    assert parse_fingerprint(head + good, most_rows=0) is None


@pytest.mark.parametrize(
    "old",
    [
        KeyRecord(ingredients={}, notes={"recipe": "a\n" * 100_000}),
        KeyRecord(ingredients={}, notes={"recipe": "a\nb\n" * 1000}),
    ],
    ids=["long", "repeated"],
)
def test_long_recipes_are_not_compared_line_by_line(old):
    """A comparison that would take minutes says only that the recipe changed."""
    new = KeyRecord(ingredients={"recipe_digest": "x"}, notes={"recipe": "a\nc\n" * 1000})
    assert outcome_of(changes, old, new) == ("value", ["the recipe file changed"])
