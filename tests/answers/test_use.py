"""Warm `run`: the same program and variables as in a full run, or no answer."""

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envy.answers.evidence import Evidence
from envy.answers.products import FILE, OUTSIDE, PROGRAM, StoredProduct, rows_of
from envy.answers.project_environment import ProjectEnvironment
from envy.answers.use import invocation_of, product_value
from envy.answers.write import StoredUse, save_answer

NAMES = st.sampled_from(["PATH", "PKG_CONFIG_PATH", "A", "B"])
FOLDERS = st.lists(st.sampled_from(["/a", "/b", "/c d", "/bin"]), max_size=3)
VALUES = st.dictionaries(NAMES, st.sampled_from(["", "x", "/a:/b", "/b::/x", "ü\n"]), max_size=4)


def store(top, *, products=(), variables=(), folders=(), dotenv=""):
    """Store an answer of a manifest without packages."""
    use = StoredUse(
        variables=dict(variables),
        folders={name: os.pathsep.join(row) for name, row in dict(folders).items()},
        products=products,
        dotenv=dotenv,
    )
    details = {"recipes": [], "roots": [], "aliases": {}, "use": use}
    save_answer(top / "cache", top / "envy.lua", Evidence(), **details)


def invoked(top, *words, environment=None):
    return invocation_of(str(top / "cache"), str(top / "envy.lua"), words, environment or {})


@settings(max_examples=150, deadline=None)
@given(
    base=VALUES,
    variables=VALUES,
    folders=st.dictionaries(NAMES, FOLDERS.filter(bool), max_size=3),
    local=st.none() | st.dictionaries(st.sampled_from(["A", "B", "C"]), st.just("local")),
)
def test_the_variables_are_those_of_a_full_run(tmp_path_factory, base, variables, folders, local):
    """Whatever packages, the manifest, a dotenv file and the user set."""
    top = tmp_path_factory.mktemp("use")
    dotenv = ""
    if local is not None:
        dotenv = str(top / ".env")
        Path(dotenv).write_text("".join(f"{name}={value}\n" for name, value in local.items()))
    full = ProjectEnvironment(folders=folders, variables=variables, dotenv=dotenv)
    store(top, variables=variables, folders=folders, dotenv=dotenv)
    found = invoked(top, "/bin/sh", "-c", "true", environment=base)
    assert dict(found.variables) == full.applied_to(base)
    assert (found.program, list(found.words)) == ("/bin/sh", ["/bin/sh", "-c", "true"])


def program(folder, name, mode=0o755):
    path = folder / name
    path.write_text("")
    path.chmod(mode)
    return str(path)


def test_a_name_means_one_package_or_a_full_run(tmp_path):
    """A file, a name of several packages and one outside are left to a full run."""
    tool = program(tmp_path, "tool")
    data = program(tmp_path, "data", 0o644)
    rows = [
        StoredProduct("tool", "0", tool, tool, PROGRAM),
        StoredProduct("data", "0", data, data, FILE),
        StoredProduct("two", "0,1", tool, tool, PROGRAM),
        StoredProduct("far", "0", "", "", OUTSIDE),
    ]
    store(tmp_path, products=rows)
    assert [row.columns() for row in rows_of([text for row in rows for text in row.columns()])] == [
        row.columns() for row in rows
    ]
    found = invoked(tmp_path, "tool", "x")
    assert (found.program, found.words) == (tool, [tool, "x"])
    for name in ("data", "two", "far", "none"):
        assert invoked(tmp_path, name, environment={"PATH": "/none"}) is None
    for name in ("two", "far", "none"):
        assert product_value(str(tmp_path / "cache"), str(tmp_path / "envy.lua"), name, {}) is None


@pytest.mark.parametrize("harm", ["deleted", "mode", "shim", "folder", "dotenv"])
def test_what_is_damaged_is_left_to_a_full_run(tmp_path, harm):
    """A full run says what is missing."""
    tool, shim = program(tmp_path, "tool"), program(tmp_path, "shim")
    scripts = tmp_path / "cache" / "shims" / "0123"
    scripts.mkdir(parents=True)
    dotenv = tmp_path / ".env"
    dotenv.write_text("A=1")
    rows = [StoredProduct("shim", "0", shim, tool, PROGRAM)]
    store(tmp_path, products=rows, folders={"PATH": [str(scripts)]}, dotenv=str(dotenv))
    assert invoked(tmp_path, "shim") is not None
    if harm == "folder":
        scripts.rmdir()
    elif harm == "dotenv":
        dotenv.write_text("no variable")
    elif harm == "mode":
        Path(tool).chmod(0o644)
    else:
        Path(tool if harm == "deleted" else shim).unlink()
    assert invoked(tmp_path, "shim") is None


def test_an_answer_without_the_environment_is_none_for_run(tmp_path):
    """A query stores what it knows, which may be less."""
    details = {"recipes": [], "roots": [], "aliases": {}}
    save_answer(tmp_path / "cache", tmp_path / "envy.lua", Evidence(), **details)
    assert invoked(tmp_path, "/bin/sh") is None
