"""Answers that are kept: a change of what they rest on is noticed, and nothing else is one."""

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envy.answers.evidence import Evidence
from envy.answers.facts import match_digest
from envy.answers.read import answer_path, load_answer
from envy.answers.write import Known, basis_of, save_answer
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
    """Keep an answer of two recipes, the second of which needs the first."""
    plain = {"user_managed": False, "excluded": False, "deploys": False}
    lib = Known(
        key="local.lib@r1", alias="", place="local.lib@r1/x", entry_key="a" * 64, needs=(), **plain
    )
    app = Known(
        key='local.app@r1{v="ü\n"}',
        alias="app",
        place="local.app@r1/x",
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
    """Four files, of which one is not there, a tree, a pattern and a variable."""
    folder.mkdir()
    for i in range(3):
        (folder / f"f{i}").write_text(f"content {i}")
    (folder / "tree").mkdir()
    (folder / "tree" / "leaf").write_text("leaf")


def state(folder, environment):
    """Everything that the evidence of the scene is about, read plainly."""
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
    """One change to the scene."""
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
def test_an_answer_counts_exactly_while_all_is_the_same(tmp_path_factory, changes):
    """After any sequence of changes, there is an answer if and only if the content is as it was."""
    top = tmp_path_factory.mktemp("answer")
    folder = top / "scene"
    scene(folder)
    environment = {"SETTING": "1"}
    evidence = Evidence(
        files={str(folder / f"f{i}"): file_digest(str(folder / f"f{i}")) for i in range(4)},
        trees={str(folder / "tree"): digest_tree(folder / "tree")},
        globs={(str(folder), "p*.patch"): match_digest(str(folder), "p*.patch")},
    )
    evidence.note_variables({"SETTING": "1", "UNSET": None})
    keep(top / "cache", top / "envy.lua", evidence)
    before = state(folder, environment)
    for what, which in changes:
        apply(folder, environment, what, which)
    found = load(top / "cache", top / "envy.lua", environment)
    assert (found is not None) == (state(folder, environment) == before)


def test_an_answer_comes_back_as_it_was_kept(tmp_path):
    """Keys, aliases, places and what needs what."""
    keep(tmp_path, tmp_path / "envy.lua", Evidence())
    answer = load(tmp_path, tmp_path / "envy.lua")
    assert answer.keys == ["local.lib@r1", 'local.app@r1{v="ü\n"}']
    assert answer.aliases == ["", "app"]
    assert answer.places == ["local.lib@r1/x", "local.app@r1/x"]
    assert answer.entry_keys == ["a" * 64, ""]
    assert [list(answer.needs(0)), list(answer.needs(1)), list(answer.roots())] == [[], [0], [1]]
    assert answer.named == {"it": 1}


def test_an_answer_tells_what_it_rests_on(tmp_path):
    """gc keeps the recipe files that an answer names; a damaged one names none."""
    keep(tmp_path, tmp_path / "envy.lua", Evidence(files={"/a": "x", "/b": None}))
    path = Path(answer_path(str(tmp_path), str(tmp_path / "envy.lua")))
    assert basis_of(str(path)) == (str(tmp_path / "envy.lua"), ["/a", "/b"])
    path.write_bytes(path.read_bytes()[:-1])
    assert basis_of(str(path)) == ("", ())


def test_an_unset_variable_is_not_an_empty_one(tmp_path):
    """Recipes can tell them apart."""
    evidence = Evidence()
    evidence.note_variables({"NAME": None})
    keep(tmp_path, tmp_path / "envy.lua", evidence)
    assert load(tmp_path, tmp_path / "envy.lua", {"OTHER": ""}) is not None
    assert load(tmp_path, tmp_path / "envy.lua", {"NAME": ""}) is None


@pytest.mark.parametrize("where", ["root", "manifest"])
def test_an_answer_is_for_one_root_and_one_manifest(tmp_path, where):
    """A cache that was moved, and a file that took the name of another's, have none."""
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
def test_a_damaged_answer_is_none(tmp_path_factory, data):
    """Whatever bit is flipped, wherever the file was cut off: there is no answer, and no error."""
    top = tmp_path_factory.mktemp("answer")
    keep(top, top / "envy.lua", Evidence(files={str(top / "none"): None}))
    path = Path(answer_path(str(top), str(top / "envy.lua")))
    content = bytearray(path.read_bytes())
    position = data.draw(st.integers(0, len(content) - 1))
    if data.draw(st.booleans()):
        content[position] ^= 1 << data.draw(st.integers(0, 7))
    else:
        del content[position:]
    path.write_bytes(content)
    assert load(top, top / "envy.lua") is None


def test_a_text_that_cannot_be_kept_is_not(tmp_path):
    """The columns are separated by NUL: what holds one leaves no answer."""
    keep(tmp_path, tmp_path / "envy.lua", Evidence(), aliases={"a\0b": 1})
    assert load(tmp_path, tmp_path / "envy.lua") is None


def test_the_same_file_seen_with_two_contents_leaves_nothing_to_rest_on():
    """It was changed in the middle of the run: one of the two recipes is of the old content."""
    evidence = Evidence(files={"/x": "one"})
    evidence.add(Evidence(files={"/x": "one"}))
    assert evidence.lasting
    evidence.add(Evidence(files={"/x": None}))
    assert not evidence.lasting
