"""Misspelt globals."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envy.declarations import definition, manifest
from envy.declarations.typos import misspelt

FIELDS = frozenset({"fetch", "install", "options", "host", "stage", "dependencies"})
LETTERS = st.sampled_from("abcdefghijklmnopqrstuvwxyz_")


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("instal", "install"),
        ("isntall", "install"),
        ("installs", "install"),
        ("Install", "install"),
        ("option", "options"),
        ("fecth", "fetch"),
        ("hsot", "host"),
        ("hast", "host"),
        ("dependancies", "dependencies"),
        ("dependacies", "dependencies"),
    ],
)
def test_a_misspelt_field_is_reported(name, field):
    """Added, removed, replaced and swapped letters are mistakes of the keyboard."""
    assert list(misspelt({name: "x"}, FIELDS)) == [(name, field)]


@pytest.mark.parametrize(
    "name",
    ["helper", "hash", "x", "destination_folder", "install_dir", "tag", "age", "etc", "patch"],
)
def test_other_globals_are_not_reported(name):
    """A recipe may have globals of its own; few changes turn one short word into another."""
    assert list(misspelt({name: "x"}, FIELDS)) == []


def test_a_present_field_is_not_meant_by_another_global():
    """`fetches` beside a `fetch` is a name of its own."""
    assert list(misspelt({"fetches": 1}, FIELDS)) == [("fetches", "fetch")]
    assert list(misspelt({"fetches": 1, "fetch": 1}, FIELDS)) == []


@pytest.mark.parametrize(
    "field", sorted(name for name in definition.FIELDS | manifest.FIELDS if len(name) > 3)
)
@given(data=st.data())
def test_one_mistake_in_a_field_is_always_reported(field, data):
    """Whichever letter is missing, doubled, wrong or swapped with the next, the field is found."""
    at = data.draw(st.integers(0, len(field) - 2))
    wrong = data.draw(LETTERS)
    one, other, rest = field[at], field[at + 1], field[at + 2 :]
    made = data.draw(
        st.sampled_from([other + rest, one * 2 + other + rest, wrong + other + rest,
                         other + one + rest])
    )  # fmt: skip
    name = field[:at] + made
    fields = {field, *FIELDS}
    if name not in fields:
        assert (name, field) in list(misspelt({name: 1}, {field}))


def test_difflib_is_loaded_for_unknown_globals_only():
    """A file without unknown globals does not pay for the library."""
    program = (
        "import sys\n"
        "from envy.declarations.typos import misspelt\n"
        "print(list(misspelt({'fetch': 1}, {'fetch', 'stage'})), 'difflib' in sys.modules)\n"
        "print(list(misspelt({'stagee': 1}, {'stage'})), 'difflib' in sys.modules)\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert run.stdout == "[] False\n[('stagee', 'stage')] True\n"
