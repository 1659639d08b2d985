"""The overrides of a manifest, and the entries that they change."""

from pathlib import Path

import pytest

from envy.declarations.entries import parse_dependencies, parse_spec
from envy.declarations.options import OptionDeclaration
from envy.declarations.overrides import (
    everywhere_for,
    overridden,
    overridden_dependencies,
    parse_overrides,
    unused,
)
from envy.declarations.spec import NO_OVERRIDES, Address
from envy.errors import DeclarationError, EnvyError, SourceLocation
from envy.host.platform import Platform
from envy.lua.values import LuaFunction

LINUX = Platform(os="linux", arch="x86_64", os_version="1", libc="gnu", libc_version="2.36")
HERE = SourceLocation(Path("envy.lua"), 7)
FOLDER = Path("/project")
DIGEST = "ab" * 32


def overrides(table):
    return parse_overrides(table, origin=HERE, base_dir=FOLDER, platform=LINUX)


def entry(value="local.zlib@r1", **fields):
    table = {"recipe": value, "source": "zlib.lua", **fields}
    return parse_spec(table, origin=SourceLocation(Path("other.lua"), 3), base_dir=FOLDER)


@pytest.mark.parametrize("name", ["zlib", "local.zlib", "zlib@r1", "local.zlib@r1"])
def test_options_are_merged_before_the_key_is_made(name):
    """The entry keeps its other options, and remembers which key it asked for."""
    spec = entry(options={"version": "1.2", "shared": True})
    changed = overridden(spec, overrides({name: {"options": {"version": "1.3"}}}))
    assert changed.key.canonical == 'local.zlib@r1{shared=true,version="1.3"}'
    assert changed.replaced.key == spec.key
    assert changed.replaced.origin == HERE


def test_other_packages_keep_their_entries():
    """Their key is as asked for, and their dependencies still get the overrides."""
    given = overrides({"local.zlib": {"options": {"version": "1.3"}}})
    spec = entry("local.zlib-ng@r1")
    changed = overridden(spec, given)
    assert changed == spec
    assert changed.replaced is None
    assert changed.overrides is given
    assert overridden(spec, NO_OVERRIDES) is spec


def test_the_more_exact_name_wins():
    """An identity is more exact than a name, wherever it stands in the table."""
    given = overrides(
        {
            "local.zlib@r1": {"options": {"version": "3"}},
            "zlib": {"options": {"version": "1", "shared": True}},
            "local.zlib": {"options": {"version": "2"}},
        }
    )
    assert overridden(entry(), given).options == {"version": "3", "shared": True}


def test_a_source_takes_the_place_of_the_whole_source():
    """Its digest belongs to it; a relative path starts from the manifest's folder."""
    given = overrides({"zlib": {"source": "mirror/zlib.lua", "sha256": DIGEST}})
    spec = entry(source="https://example.org/zlib.lua", sha256="cd" * 32)
    source = overridden(spec, given).source
    assert (source.source, source.sha256, source.base_dir) == ("mirror/zlib.lua", DIGEST, FOLDER)


def test_a_pin_changes_only_the_pin():
    """The address of the source stays."""
    spec = entry(source="https://example.org/zlib.git", ref="v1", subdir="recipe")
    source = overridden(spec, overrides({"zlib": {"ref": "v2"}})).source
    assert (source.source, source.ref, source.subdir) == (spec.source.source, "v2", "recipe")


def test_fallbacks_and_dependencies_of_sources_are_overridden():
    """Wherever a package is named with a source, its override counts."""
    fetch = LuaFunction(None, None, "")
    dependencies = parse_dependencies(
        [
            {"recipe": "zlib", "weak": {"recipe": "local.zlib@r1"}},
            {"product": "tool"},
            {
                "recipe": "local.app@r1",
                "source": {"dependencies": [{"recipe": "local.zlib@r1"}], "fetch": fetch},
            },
        ],
        origin=HERE,
        base_dir=FOLDER,
        address=Address(FOLDER / "envy.lua", ("dependencies",)),
    )
    given = overrides({"zlib": {"options": {"version": "1.3"}}})
    weak, product, custom = overridden_dependencies(dependencies, given)
    assert weak.spec.options == {"version": "1.3"}
    assert product.spec is None
    assert custom.spec.source.dependencies[0].spec.options == {"version": "1.3"}


def test_everywhere_reaches_recipes_that_declare_the_option():
    """The override of a recipe itself is more exact."""
    given = overrides(
        {
            "*": {"options": {"build_type": "Debug", "lto": True}},
            "zlib": {"options": {"build_type": "Release"}},
        }
    )
    declared = [OptionDeclaration(name="build_type", type="string")]
    assert everywhere_for(overridden(entry("local.app@r1"), given), declared) == {
        "build_type": "Debug"
    }
    assert everywhere_for(overridden(entry(), given), declared) == {}


def test_overrides_for_other_platforms_are_left_out():
    """`platforms` selects, as it does for entries."""
    table = {"zlib": {"options": {"version": "1"}, "platforms": ["windows"]}}
    assert overrides(table).named == ()


def test_unused_overrides_are_found():
    """One that names no package, and options that nobody declares."""
    given = overrides(
        {
            "zlib": {"options": {"version": "1"}},
            "zlob": {"options": {"version": "1"}},
            "*": {"options": {"build_type": "Debug", "lto": True}},
        }
    )
    rows = [(entry().key, [OptionDeclaration(name="lto", type="boolean")])]
    assert [(one.name, dict(one.options)) for one in unused(given, rows)] == [
        ("zlob", {"version": "1"}),
        ("*", {"build_type": "Debug"}),
    ]


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (["zlib"], "`overrides` must be a table of packages"),
        ({"zlib{a=1}": {"options": {}}}, "a name that does not name packages: 'zlib{a=1}'"),
        ({"zlib": "1.3"}, "`overrides of zlib` must be a table, not a string"),
        ({"zlib": {"version": "1.3"}}, '`overrides of zlib` has no field "version"'),
        ({"zlib": {"options": "1.3"}}, "`overrides of zlib.options` must be a table"),
        ({"zlib": {"sha256": "12"}}, "`sha256` must be 64 hexadecimal digits"),
        ({"zlib": {"source": "zlib.lua", "ref": "v1"}}, "`ref` is for git sources"),
        ({"*": {"source": "zlib.lua"}}, '`overrides["*"]` cannot have `source`'),
        ({"*": {"platforms": ["linux"]}}, '`overrides["*"]` has no options'),
        ({"zlib": {"options": {"f": LuaFunction(None, None, "")}}}, "function"),
    ],
)
def test_invalid_overrides_are_errors(table, said):
    """Each names the place and what is wrong."""
    with pytest.raises(EnvyError) as caught:
        overrides(table)
    assert said in str(caught.value)
    assert "envy.lua:7" in str(caught.value)


def test_a_pin_of_the_wrong_kind_of_source_is_an_error():
    """A commit pins repositories, and a digest files."""
    with pytest.raises(DeclarationError, match="`ref` is for git sources"):
        overridden(entry(), overrides({"zlib": {"ref": "v2"}}))
