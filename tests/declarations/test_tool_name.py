"""The words that name shipped recipes, and the table of these."""

import pytest

from envy.declarations.shipped_table import entry_of, shipped_recipe, shipped_table
from envy.declarations.tool_name import named_tool, registry_package
from envy.declarations.versions import nearest_versions, order_of
from envy.errors import EnvyError


@pytest.mark.parametrize(
    ("word", "identity", "version"),
    [
        ("ninja", "envy.ninja@r1", ""),
        ("envy.ninja", "envy.ninja@r1", ""),
        ("ninja@r1", "envy.ninja@r1", ""),
        ("envy.ninja@r1", "envy.ninja@r1", ""),
        ("ninja@1.11.1", "envy.ninja@r1", "1.11.1"),
        ("lua@5.3.6", "envy.lua@r1", "5.3.6"),
        ("git-hooks", "envy.git-hooks@r1", ""),
    ],
)
def test_a_word_names_a_recipe_and_perhaps_a_version(word, identity, version):
    """A name, a revision, an identity and a version are told apart."""
    found = named_tool(word, command="add")
    assert (found.recipe.identity, found.version) == (identity, version)


@pytest.mark.parametrize(
    ("word", "options", "program"),
    [
        ("pypi:black", {"package": "black"}, "black"),
        ("pypi:black@26.1.0", {"package": "black", "version": "26.1.0"}, "black"),
        ("pypi:black==26.1.0", {"package": "black", "version": "26.1.0"}, "black"),
        ("npm:prettier@3.0.0", {"package": "prettier", "version": "3.0.0"}, "prettier"),
        ("npm:@scope/tool", {"package": "@scope/tool"}, "tool"),
    ],
)
def test_a_word_names_a_package_of_a_registry(word, options, program):
    """It is for the recipe that installs any of them, and another program may be named."""
    found = named_tool(word, command="x")
    identity = "envy.pytool@r1" if word.startswith("pypi") else "envy.npmtool@r1"
    assert (found.entry(), found.program) == ({"recipe": identity, "options": options}, program)
    assert found.entry("other")["options"] == {**options, "programs": ["other"]}


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("", 'none of the 25 recipes that ship with envy is ""'),
        ("@1", "none of the 25 recipes"),
        ("NINJA", 'did you mean "ninja"'),
        ("ctset", 'did you mean "cmake"'),
        ("zzz", "they are black, clang-format, cmake"),
        ("ninja@", "ninja@ has no version after the @"),
        ("lua@6", "envy.lua@r1 knows no version 6\n  hint: it has 5.5.1, 5.4.8, 5.3.6"),
        ("ninja@>=9", "the nearest versions are 1.13.2, 1.11.1, 1.10.2.4"),
        ("ninja@>=", "the constraint '>=' is invalid"),
        ("ninja@1 2", "'1 2' is not a version"),
        ("git-hooks@1", "envy.git-hooks@r1 has no option `version`"),
        ("pypi:", "pypi: does not name a package: a name and perhaps a version follow pypi:"),
        ("pypi:../x", "envy x pypi:black@26.1.0"),
        ("npm:a/b@1", "envy x npm:prettier@3.0.0"),
        ("npm:x@", "npm:x@ does not name a package"),
        ("gofmt", "gofmt is a program of go: envy x --program gofmt go"),
    ],
)
def test_what_is_not_there_is_an_error_that_helps(word, message):
    """The nearest names or versions, and where it looked, are in the error."""
    with pytest.raises(EnvyError) as caught:
        named_tool(word, command="x")
    assert message in str(caught.value)


@pytest.mark.parametrize("version", ["1.13.1", "v2.0rc1", ">=1.11,<2", "1.11.1"])
def test_a_recipe_takes_versions_that_it_was_not_tested_with(version):
    """Whether there is such a release, its registry says."""
    assert named_tool(f"ninja@{version}", command="add").version == version


def test_a_package_has_the_name_that_the_index_gives_it():
    """However it is spelled, it is one package, with one program; npm has one spelling."""
    tool = named_tool("pypi:Pre_.Commit==4.0", command="x")
    assert (tool.package, tool.program, tool.version) == ("pre-commit", "pre-commit", "4.0")
    assert named_tool("npm:@a/b.c_d", command="x").package == "@a/b.c_d"
    assert registry_package("envy.pytool@r1", "Black[jupyter]") == "pypi:black"
    assert registry_package("envy.npmtool@r1", "@a/b") == "npm:@a/b"
    assert registry_package("envy.ninja@r1", "a") == registry_package("envy.pytool@r1", "") == ""


def test_nearest_versions_are_those_with_the_nearest_numbers():
    """The first number that differs decides; at most three are named, the newest first."""
    known = ["1.2", "1.10", "2.0", "1.9.5", "0.1"]
    assert nearest_versions("1.9", known) == ["1.10", "1.9.5", "1.2"]
    assert nearest_versions("v2", known)[0] == "2.0"
    assert nearest_versions("x", ["1"]) == ["1"]


def test_every_shipped_recipe_is_in_the_table():
    """Each row has what a reader looks for, and a digest for each known version and platform."""
    for recipe in shipped_table():
        assert recipe.license
        assert recipe.description
        # The products of a package of a registry depend on it; a library has none.
        others = recipe.name in {"pytool", "npmtool", "sqlite", "zlib"}
        assert recipe.user_managed or recipe.products or others
        assert not recipe.version or recipe.version in recipe.versions
        assert list(recipe.versions) == sorted(recipe.versions, key=order_of, reverse=True)
        for digests in recipe.versions.values():
            assert recipe.is_closed or digests
            assert all(len(digest) == 64 for digest in digests.values())


def test_the_entry_of_a_recipe():
    """An entry has options only for a version."""
    ninja = shipped_recipe("envy.ninja@r1")
    assert entry_of(ninja, "") == "envy.ninja@r1"
    assert entry_of(ninja, "1") == {"recipe": "envy.ninja@r1", "options": {"version": "1"}}
