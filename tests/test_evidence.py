"""Evidence: any change of what an answer rests on is noticed, and nothing else is one."""

import os

from hypothesis import given, settings
from hypothesis import strategies as st

from envy.cache.trees import digest_tree
from envy.evidence import Evidence, file_digest, still_holds

CHANGES = st.lists(
    st.tuples(
        st.sampled_from(
            ["change", "remove", "add", "touch", "restore", "mode", "variable", "match"]
        ),
        st.integers(0, 3),
    ),
    max_size=8,
)


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


@settings(max_examples=150, deadline=None)
@given(changes=CHANGES)
def test_evidence_holds_exactly_while_all_is_the_same(tmp_path_factory, changes):
    """After any sequence of changes, evidence holds if and only if the content is as it was."""
    folder = tmp_path_factory.mktemp("evidence") / "scene"
    scene(folder)
    environment = {"SETTING": "1"}
    evidence = Evidence(
        files={str(folder / f"f{i}"): file_digest(str(folder / f"f{i}")) for i in range(4)},
        trees={str(folder / "tree"): digest_tree(folder / "tree")},
        globs=[(str(folder), "p*.patch", [])],
    )
    evidence.note_variables({"SETTING": "1", "UNSET": None})
    before = state(folder, environment)
    for what, which in changes:
        apply(folder, environment, what, which)
    assert still_holds(evidence, environment) == (state(folder, environment) == before)


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


def test_a_folder_in_the_place_of_a_file_is_no_file(tmp_path):
    """What was not found stays not found when a folder takes the name."""
    path = tmp_path / "name"
    evidence = Evidence(files={str(path): None})
    path.mkdir()
    assert still_holds(evidence, {})


def test_a_large_file_is_read_to_its_end(tmp_path):
    """A change behind the first chunk of a file counts."""
    path = tmp_path / "large"
    path.write_bytes(bytes(3 << 20))
    evidence = Evidence(files={str(path): file_digest(str(path))})
    assert still_holds(evidence, {})
    with path.open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"x")
    assert not still_holds(evidence, {})
