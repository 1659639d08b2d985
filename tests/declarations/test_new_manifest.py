"""The text of a new manifest, and what other version managers' files ask for."""

import pytest

from envy.declarations.new_manifest import AskedVersion, asked_versions, new_manifest


@pytest.mark.parametrize(
    ("file", "text", "found"),
    [
        (".python-version", "3.12\n3.11\n", [("python", "3.12")]),
        (".python-version", "# no\n\n  pypy3.10 \n", [("python", "pypy3.10")]),
        (".nvmrc", "v26.10.0", [("node", "v26.10.0")]),
        (".nvmrc", "lts/iron # old", [("node", "lts/iron")]),
        (".nvmrc", "", []),
        (
            ".tool-versions",
            "nodejs 26.10.0 20.0.0\ngolang 1.27.3 # go\n\nlonely\n",
            [("node", "26.10.0"), ("go", "1.27.3")],
        ),
        (".tool-versions", 'x "1"\ny \x1b[2J\nz ]]=1\n' + "a" * 100 + " 1\n", []),
    ],
)
def test_versions_that_files_ask_for(file, text, found):
    """A line names a tool and a version; words of any other form are left out."""
    assert asked_versions(file, text) == [AskedVersion(*row, file) for row in found]


@pytest.mark.parametrize(
    ("asked", "row", "note"),
    [
        (
            ("node", "v26"),
            '  { recipe = "envy.node@r1", options = { version = "26.10.0" } }, --',
            "",
        ),
        (("ninja", "1.1"), '  -- { recipe = "envy.ninja@r1", options', "was tested with 1.13.2"),
        (("ninja", "1.11"), '  { recipe = "envy.ninja@r1", options = { version = "1.11.1" } }', ""),
        (
            ("python", "3.12.4"),
            '  { recipe = "envy.python@r1", options = { python = "3.12" } }, -- x',
            "",
        ),
        (("python", "pypy3"), '  -- "envy.python@r1", -- x asks', "takes the one of the machine"),
        (("erlang", "27"), "  -- x asks for erlang 27:", "envy ships no recipe for erlang"),
    ],
)
def test_a_version_is_an_entry_or_a_comment(asked, row, note):
    """A version that a shipped recipe knows is an entry; others are comments with a note."""
    text, notes = new_manifest([AskedVersion(*asked, "x")])
    assert row in text
    assert [note in one for one in notes] == ([True] if note else [])


def test_the_first_file_that_names_a_tool_counts():
    """A tool is in the manifest once; another version of it is a note."""
    asked = [AskedVersion("ninja", "1.11.1", "a"), AskedVersion("ninja", "1.13.2", "b")]
    text, notes = new_manifest([*asked, AskedVersion("ninja", "1.11.1", "c")])
    assert text.partition("packages = ")[2].count('{ recipe = "envy.ninja@r1"') == 1
    assert notes == ["b asks for ninja 1.13.2, and a asks for ninja 1.11.1: that one counts"]
