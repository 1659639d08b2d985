"""Evidence that is stored beside a result, and compared with the present."""

import pytest

from envy.answers.evidence import Evidence
from envy.answers.facts import match_digest, tree_digest
from envy.answers.stored_evidence import decode_evidence, encode_evidence, still_holds
from envy.content.file_digest import file_digest

VARIABLES = {"SET": "value"}


@pytest.fixture
def folder(tmp_path):
    for name in ("file.txt", "tree/inner"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("text")
    return tmp_path


@pytest.fixture
def evidence(folder):
    """Evidence of every kind, about things that exist and things that do not."""
    found = Evidence(
        files={str(path): file_digest(str(path)) for path in (folder / "file.txt", folder / "no")},
        trees={(str(folder / "tree"), ""): tree_digest(str(folder / "tree"))},
        globs={(str(folder), "*.txt"): match_digest(str(folder), "*.txt")},
    )
    found.note_variables({"SET": "value", "UNSET": None})
    return found


def test_evidence_can_be_stored(evidence):
    """What is read back is what was stored, and holds while nothing changes."""
    again = decode_evidence(encode_evidence(evidence))
    assert again == evidence
    assert still_holds(again, VARIABLES)


@pytest.mark.parametrize("name", ["file.txt", "no", "tree/inner", "other.txt"])
def test_every_change_ends_it(evidence, folder, name):
    """A changed, new or removed file that the evidence is about is noticed."""
    (folder / name).write_text("changed")
    assert not still_holds(evidence, VARIABLES)


@pytest.mark.parametrize("variables", [{}, {"SET": ""}, {**VARIABLES, "UNSET": ""}])
def test_every_changed_variable_ends_it(evidence, variables):
    """An empty variable is not an unset one."""
    assert not still_holds(evidence, variables)


def test_what_does_not_last_never_holds(evidence):
    """Evidence of something that depends on the time holds only in its own run."""
    evidence.lasting = False
    again = decode_evidence(encode_evidence(evidence))
    assert again is not None
    assert not still_holds(again, VARIABLES)


@pytest.mark.parametrize(
    "text",
    [
        *("", "[]", "{}", "null", "[" * 100_000, '{"files": 1}'),
        '{"files": {}, "trees": [], "globs": [1], "variables": {}, "lasting": true}',
        '{"files": {}, "trees": [], "globs": 7, "variables": {}, "lasting": true}',
        '{"files": {}, "trees": {"/a": ""}, "globs": [], "variables": {}, "lasting": true}',
    ],
)
def test_damaged_evidence_is_none(text):
    """Text that is not stored evidence never holds, and is not an error."""
    assert decode_evidence(text) is None
