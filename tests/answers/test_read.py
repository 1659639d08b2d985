"""Stored answers: an answer is rejected exactly when something in its evidence has changed."""

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envy.answers.evidence import Evidence
from envy.answers.facts import match_digest
from envy.answers.read import answer_path, load_answer
from envy.answers.write import StoredRecipe, basis_of, save_answer
from envy.cache.trees import digest_tree
from envy.content.file_digest import file_digest

CHANGES = st.lists(
    st.tuples(
        st.sampled_from(
            ["change", "remove", "add", "touch", "restore", "mode", "variable", "match"]
        ),
        st.integers(0, 3),
    ),
    max_size=8,
)


def keep(root, manifest, evidence, **details):
    """Store an answer of two recipes, the second of which needs the first."""
    plain = {
        "user_managed": False,
        "excluded": False,
        "deploys": False,
        "distance": 0,
        "has_shims": False,
    }
    lib = StoredRecipe(
        key="local.lib@r1",
        alias="",
        entry_name="local.lib@r1/x",
        entry_key="a" * 64,
        needs=(),
        **plain,
    )
    app = StoredRecipe(
        key='local.app@r1{v="ü\n"}',
        alias="app",
        entry_name="local.app@r1/x",
        entry_key="",
        needs=(0,),
        **plain,
    )
    save_answer(
        root,
        manifest,
        evidence,
        **{"recipes": [lib, app], "roots": [1], "aliases": {"it": 1}} | details,
    )


def load(root, manifest, environment=None):
    return load_answer(str(root), str(manifest), environment or {})


def scene(folder):
    """Create three of four files, a tree, a pattern and a variable."""
    folder.mkdir()
    for i in range(3):
        (folder / f"f{i}").write_text(f"content {i}")
    (folder / "tree").mkdir()
    (folder / "tree" / "leaf").write_text("leaf")


def state(folder, environment):
    """Return everything that the evidence of the scene covers, read directly."""
    return (
        [
            (folder / f"f{i}").read_bytes() if (folder / f"f{i}").exists() else None
            for i in range(4)
        ],
        sorted(
            (str(path.relative_to(folder)), path.read_bytes(), os.access(path, os.X_OK))
            for path in (folder / "tree").rglob("*")
        ),
        sorted(path.name for path in folder.glob("p*.patch")),
        environment.get("SETTING"),
    )


def apply(folder, environment, what, which):
    """Apply one change to the scene."""
    path = folder / f"f{which}"
    if what == "change":
        path.write_text("changed")
    elif what == "remove":
        path.unlink(missing_ok=True)
    elif what == "add":
        (folder / "tree" / f"new{which}").write_text("new")
    elif what == "touch":
        if path.exists():
            os.utime(path, ns=(which, which))
    elif what == "restore":
        for i in range(3):
            (folder / f"f{i}").write_text(f"content {i}")
        (folder / "f3").unlink(missing_ok=True)
        environment["SETTING"] = "1"
    elif what == "mode":
        (folder / "tree" / "leaf").chmod(0o755 if which % 2 else 0o644)
    elif what == "variable":
        environment["SETTING"] = str(which)
    else:
        (folder / f"p{which}.patch").write_text("")


@settings(max_examples=150, deadline=None)
@given(changes=CHANGES)
def test_an_answer_holds_exactly_while_its_evidence_is_unchanged(tmp_path_factory, changes):
    """After any changes, the answer loads if and only if all content is the original content."""
    top = tmp_path_factory.mktemp("answer")
    folder = top / "scene"
    scene(folder)
    environment = {"SETTING": "1"}
    evidence = Evidence(
        files={str(folder / f"f{i}"): file_digest(str(folder / f"f{i}")) for i in range(4)},
        trees={(str(folder / "tree"), ""): digest_tree(folder / "tree")},
        globs={(str(folder), "p*.patch"): match_digest(str(folder), "p*.patch")},
    )
    evidence.note_variables({"SETTING": "1", "UNSET": None})
    keep(top / "cache", top / "envy.lua", evidence)
    before = state(folder, environment)
    for what, which in changes:
        apply(folder, environment, what, which)
    found = load(top / "cache", top / "envy.lua", environment)
    assert (found is not None) == (state(folder, environment) == before)


def test_an_answer_is_loaded_as_it_was_stored(tmp_path):
    """Keys, aliases, entry names and dependencies survive storing and loading."""
    keep(tmp_path, tmp_path / "envy.lua", Evidence())
    answer = load(tmp_path, tmp_path / "envy.lua")
    assert answer.keys == ["local.lib@r1", 'local.app@r1{v="ü\n"}']
    assert answer.aliases == ["", "app"]
    assert answer.entry_names == ["local.lib@r1/x", "local.app@r1/x"]
    assert answer.entry_keys == ["a" * 64, ""]
    assert [list(answer.needs(0)), list(answer.needs(1)), list(answer.roots())] == [[], [0], [1]]
    assert answer.manifest_aliases == {"it": 1}


def test_the_evidence_of_an_answer_can_be_read(tmp_path):
    """gc keeps the recipe files that an answer names; a damaged answer names none."""
    keep(tmp_path, tmp_path / "envy.lua", Evidence(files={"/a": "x", "/b": None}))
    path = Path(answer_path(str(tmp_path), str(tmp_path / "envy.lua")))
    assert basis_of(str(path)) == (str(tmp_path / "envy.lua"), ["/a", "/b"])
    path.write_bytes(path.read_bytes()[:-1])
    assert basis_of(str(path)) == ("", ())


def test_an_unset_variable_differs_from_an_empty_one(tmp_path):
    """Setting a variable to "" invalidates an answer that was stored while it was unset."""
    evidence = Evidence()
    evidence.note_variables({"NAME": None})
    keep(tmp_path, tmp_path / "envy.lua", evidence)
    assert load(tmp_path, tmp_path / "envy.lua", {"OTHER": ""}) is not None
    assert load(tmp_path, tmp_path / "envy.lua", {"NAME": ""}) is None


@pytest.mark.parametrize("where", ["root", "manifest"])
def test_an_answer_is_for_one_root_and_one_manifest(tmp_path, where):
    """A moved cache, and an answer file renamed to another manifest's, have no answer."""
    manifest = tmp_path / "envy.lua"
    keep(tmp_path / "a", manifest, Evidence())
    if where == "root":
        (tmp_path / "a").rename(tmp_path / "b")
        assert load(tmp_path / "b", manifest) is None
    else:
        other = tmp_path / "other.lua"
        Path(answer_path(str(tmp_path / "a"), str(manifest))).rename(
            answer_path(str(tmp_path / "a"), str(other))
        )
        assert load(tmp_path / "a", other) is None


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_a_damaged_answer_is_not_loaded(tmp_path_factory, data):
    """Any flipped bit and any truncation of the file give no answer and no error."""
    top = tmp_path_factory.mktemp("answer")
    keep(top, top / "envy.lua", Evidence(files={str(top / "none"): None}))
    path = Path(answer_path(str(top), str(top / "envy.lua")))
    content = bytearray(path.read_bytes())
    # The name of the folder, and so the length of the content, differs from example to example.
    position = data.draw(st.integers(0, 30_000)) % len(content)
    if data.draw(st.booleans()):
        content[position] ^= 1 << data.draw(st.integers(0, 7))
    else:
        del content[position:]
    path.write_bytes(content)
    assert load(top, top / "envy.lua") is None


def test_an_answer_with_a_separator_in_a_text_is_not_stored(tmp_path):
    """The columns are separated by NUL, so a text that contains NUL cannot be stored."""
    keep(tmp_path, tmp_path / "envy.lua", Evidence(), aliases={"a\0b": 1})
    assert load(tmp_path, tmp_path / "envy.lua") is None


def test_one_file_with_two_contents_makes_evidence_not_lasting():
    """The file changed during the run, so one of the two recipes saw the old content."""
    evidence = Evidence(files={"/x": "one"})
    evidence.add(Evidence(files={"/x": "one"}))
    assert evidence.lasting
    evidence.add(Evidence(files={"/x": None}))
    assert not evidence.lasting
