"""The ingredients of a recipe's entry key."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from loaded import loaded_recipe

from envy.declarations.definition import parse_definition
from envy.declarations.sources import SourceItem
from envy.declarations.spec import RecipeSpec
from envy.errors import SourceLocation
from envy.graph.recipe import Recipe
from envy.host.platform import Platform
from envy.keying.ingredients import pinned_source
from envy.locking.lock import NO_LOCK
from envy.transport.context import Memo

GNU = Platform(os="linux", arch="x86_64", os_version="1", libc="gnu", libc_version="2.36")
MUSL = replace(GNU, libc="musl", libc_version="1.2.5")


def sources_on(platform, source, tmp_path):
    """Return the source ingredients of a recipe that only fetches, on a platform."""
    path = tmp_path / "local.tool@r1.lua"
    spec = RecipeSpec(
        identity="local.tool@r1",
        options={},
        source=SourceItem(source=path.name, base_dir=tmp_path),
        origin=SourceLocation(Path("envy.lua"), 1),
    )
    values = {"identity": spec.identity, "fetch": source}
    recipe = Recipe(key=spec.key, spec=spec)
    definition = parse_definition(values, spec=spec, path=path, text="", platform=platform)
    recipe.loaded = loaded_recipe(definition)
    services = SimpleNamespace(
        platform=platform,
        environment={},
        memo=Memo(),
        layout=SimpleNamespace(root=tmp_path / "cache"),
        lock=NO_LOCK,
    )
    engine = SimpleNamespace(services=services)
    return [pinned_source(item, recipe, engine) for item in definition.fetch]


@pytest.mark.parametrize(
    ("source", "differs"),
    [
        ("pypi:tool==1.0", True),
        ({"source": "pypi:tool==1.0", "kind": "sdist"}, False),
        ("npm:tool@1.0.0", False),
    ],
)
def test_the_c_library_chooses_a_wheel(source, differs, tmp_path):
    """Machines that would choose different wheels of one release do not share an entry."""
    assert (sources_on(GNU, source, tmp_path) != sources_on(MUSL, source, tmp_path)) is differs
