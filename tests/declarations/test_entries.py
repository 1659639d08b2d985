"""Entries of `packages` and of `dependencies`."""

from pathlib import Path

import pytest

from envy.declarations.entries import parse_dependencies, parse_dependency, parse_spec
from envy.declarations.key import RecipeKey
from envy.declarations.shipped import shipped_recipes_dir, shipped_source
from envy.declarations.sources import SourceItem
from envy.declarations.spec import DependencyKind, DependencyUse, check_local_rule
from envy.errors import DeclarationError, SourceLocation
from envy.phase import RecipePhase

BASE = Path("/project")
ORIGIN = SourceLocation(Path("envy.lua"), 3)


def parse(value):
    return parse_spec(value, origin=ORIGIN, base_dir=BASE, recipes_dir=BASE / "recipes")


def depend(value):
    return parse_dependency(value, origin=ORIGIN, base_dir=BASE)


def test_table_has_all_fields():
    """Every field of an entry is read."""
    spec = parse(
        {
            "recipe": "vendor.openocd@v3",
            "source": "https://host/openocd.git",
            "ref": "abc",
            "subdir": "recipe",
            "options": {"version": "3"},
            "alias": "ocd",
            "platforms": ["linux", "darwin-arm64"],
        }
    )
    assert spec.source == SourceItem(
        source="https://host/openocd.git", ref="abc", subdir="recipe", base_dir=BASE
    )
    assert spec.key == RecipeKey.of("vendor.openocd@v3", {"version": "3"})
    assert (spec.alias, spec.platforms) == ("ocd", ("linux", "darwin-arm64"))
    assert spec.origin == ORIGIN


def test_local_recipe_without_source_is_in_the_folder_of_recipes():
    """`local.tools@r2` is recipes/local.tools@r2.lua beside the manifest."""
    expected = SourceItem(source="local.tools@r2.lua", base_dir=BASE / "recipes")
    assert parse("local.tools@r2").source == expected
    assert parse({"recipe": "local.tools@r2", "options": {"a": 1}}).source == expected


def test_local_dependency_without_source_is_beside_its_dependent():
    """For a dependency, the folder of recipes is that of the recipe file."""
    expected = SourceItem(source="local.tools@r2.lua", base_dir=BASE)
    assert depend("local.tools@r2").spec.source == expected


def test_shipped_recipe(tmp_path):
    """A recipe of the namespace envy comes from the folder of shipped recipes."""
    (tmp_path / "envy.ninja@r1.lua").touch()
    source = shipped_source("envy.ninja@r1", directory=tmp_path, origin=ORIGIN)
    assert source == SourceItem(source="envy.ninja@r1.lua", base_dir=tmp_path)


def test_unknown_shipped_recipe_suggests_a_known_one(tmp_path):
    """A typo in a shipped recipe's identity is found before anything is fetched."""
    (tmp_path / "envy.ninja@r1.lua").touch()
    with pytest.raises(DeclarationError, match=r'did you mean "envy.ninja@r1"\?'):
        shipped_source("envy.nina@r1", directory=tmp_path, origin=ORIGIN)


def test_shipped_recipe_may_be_replaced_by_a_source():
    """A declared source wins over the shipped one."""
    spec = parse({"recipe": "envy.none@r1", "source": "mine.lua"})
    assert spec.source == SourceItem(source="mine.lua", base_dir=BASE)


def test_shipped_recipes_exist():
    """The folder is part of the package."""
    assert shipped_recipes_dir().is_dir()


def test_dependency_defaults():
    """A dependency is needed from the check phase on, and at run time."""
    dependency = depend({"recipe": "local.a@r1", "source": "a.lua"})
    assert (dependency.needed_by, dependency.use) == (RecipePhase.CHECK, DependencyUse.RUN)
    assert dependency.kind is DependencyKind.STRONG


def test_dependency_has_a_phase_and_a_use():
    """`needed_by` and `use` are read."""
    dependency = depend({"recipe": "local.a@r1", "needed_by": "build", "use": "build"})
    assert (dependency.needed_by, dependency.use) == (RecipePhase.BUILD, DependencyUse.BUILD)


@pytest.mark.parametrize(
    ("value", "part"),
    [
        (3, "not a number"),
        ({}, "not an empty table"),
        ("", "not an empty string"),
        ("python", '"python" is not a valid identity'),
        ({"source": "x.lua"}, "needs the field `recipe`"),
        ({"recipe": 3}, "`recipe` must be an identity, not a number"),
        ({"recipe": "../a.b@c", "source": "x"}, "is not a valid identity"),
        ({"recipe": "local.a@r1", "sorce": "x"}, 'did you mean "source"?'),
        ({"recipe": "local.a@r1", "needed_by": "build"}, 'no field "needed_by"'),
        ({"recipe": "local.a@r1", "source": {"fetch": print}}, "`source` must be a path or a URI"),
        ({"recipe": "local.a@r1", "source": "gs://x"}, "does not support"),
        ({"recipe": "local.a@r1", "sha256": "a" * 64}, "there is no `source`"),
        ({"recipe": "local.a@r1", "source": "a.lua", "ref": "x"}, "is for git"),
        ({"recipe": "local.a@r1", "options": ["x"]}, "`options` must be a table"),
        ({"recipe": "local.a@r1", "options": {"f": print}}, "`options.f` is a function"),
        ({"recipe": "local.a@r1", "options": {"version": 3.1}}, "in quotes"),
        ({"recipe": "local.a@r1", "platforms": "linux"}, 'platforms = { "linux" }'),
        ({"recipe": "local.a@r1", "alias": "a.b"}, "contains a character that is not allowed"),
        ({"recipe": "local.a@r1", "alias": "a{b"}, "contains a character that is not allowed"),
        ({"recipe": "local.a@r1", "alias": "@"}, "contains a character that is not allowed"),
        ({"recipe": "local.a@r1", "alias": 1}, "`alias` must be"),
        (["local.a@r1"], "not a table"),
    ],
)
def test_invalid_entry_is_an_error_with_its_location(value, part):
    """Each error says what is wrong, and where."""
    with pytest.raises(DeclarationError) as caught:
        parse(value)
    assert part in str(caught.value)
    assert str(caught.value).startswith("envy.lua:3: ")


@pytest.mark.parametrize(
    ("value", "part"),
    [
        ({"recipe": "local.a@r1", "needed_by": "bild"}, 'did you mean "build"?'),
        ({"recipe": "local.a@r1", "needed_by": "recipe_fetch"}, "`needed_by` is not a phase"),
        ({"recipe": "local.a@r1", "needed_by": 3}, "`needed_by` must be"),
        ({"recipe": "local.a@r1", "use": "biuld"}, 'did you mean "build"?'),
        ({"recipe": "ninja", "weak": {"recipe": "ninja"}}, "is not a valid identity"),
        (
            {"product": "x", "weak": {"recipe": "local.a@r1"}, "options": {}},
            "cannot be used in a reference",
        ),
        ({"recipe": "no such", "use": "run"}, "does not name a package"),
    ],
)
def test_invalid_dependency_is_an_error(value, part):
    """The fields of a dependency are checked as strictly."""
    with pytest.raises(DeclarationError) as caught:
        depend(value)
    assert part in str(caught.value)


@pytest.mark.parametrize("value", ["local.a@r1", {"recipe": "local.a@r1"}, 3])
def test_dependencies_are_an_array(value):
    """A single entry needs an array, too."""
    with pytest.raises(DeclarationError, match="must be an array of entries"):
        parse_dependencies(value, origin=ORIGIN, base_dir=BASE)


@pytest.mark.parametrize("value", [None, {}])
def test_no_dependencies(value):
    """A missing field and an empty table mean no dependencies."""
    assert parse_dependencies(value, origin=ORIGIN, base_dir=BASE) == ()


def test_variants_of_one_recipe_are_different_dependencies():
    """Two sets of options are two keys."""
    entries = [{"recipe": "local.a@r1", "options": {"v": v}} for v in ("1", "2")]
    parsed = parse_dependencies(entries, origin=ORIGIN, base_dir=BASE)
    assert len({dependency.spec.key for dependency in parsed}) == 2


def test_local_rule():
    """Only a local recipe may depend on a local one."""
    local, shared = RecipeKey.of("local.a@r1"), RecipeKey.of("arm.gcc@v2")
    check_local_rule(local, local, ORIGIN)
    check_local_rule(local, shared, ORIGIN)
    check_local_rule(shared, shared, ORIGIN)
    with pytest.raises(DeclarationError, match=r"envy.lua:3: arm.gcc@v2 depends on local.a@r1"):
        check_local_rule(shared, local, ORIGIN)
