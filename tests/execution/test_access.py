"""What a phase may use of its dependencies, and how many recipes are read to find out."""

from pathlib import Path

from loaded import loaded_recipe

from envy.cache.layout import CacheLayout
from envy.declarations.definition import RecipeDefinition
from envy.declarations.key import RecipeKey
from envy.declarations.sources import SourceItem
from envy.declarations.spec import DependencyUse, RecipeSpec
from envy.declarations.tables import NO_EXPORTS, Exports
from envy.errors import SourceLocation
from envy.events import EventBus
from envy.execution.access import exporting, exports_within
from envy.graph.recipe import Edge, Placement
from envy.graph.recipe_graph import RecipeGraph
from envy.phase import RecipePhase

ORIGIN = SourceLocation(Path("envy.lua"), 1)
ENTRY = CacheLayout(Path("/cache")).entry("local.p@r1", "linux-x86_64", "")


class CountingRecipes(dict):
    """Recipes by key, that count how often one is looked at."""

    looked_at = 0

    def __getitem__(self, key):
        self.looked_at += 1
        return super().__getitem__(key)


class ChainEngine:
    """What a phase sees of a chain of recipes, each needing the one before, some with exports."""

    def __init__(self, length, exporters, *, use=DependencyUse.RUN):
        self.graph = RecipeGraph(EventBus())
        self.graph.recipes = CountingRecipes()
        for number in range(length):
            spec = RecipeSpec(
                identity=f"local.p{number}@r1",
                options={},
                source=SourceItem(source="x.lua", base_dir=Path("/project")),
                origin=ORIGIN,
            )
            recipe = self.graph.add(spec)
            exports = NO_EXPORTS
            if number in exporters:
                exports = Exports(path=("bin",))
            definition = RecipeDefinition(identity=spec.identity, path=Path("x.lua"))
            recipe.loaded = loaded_recipe(definition, exports=exports)
            if number:
                before = RecipeKey.of(f"local.p{number - 1}@r1")
                edge = Edge(before, RecipePhase.CHECK, use, "strong", ORIGIN)
                self.graph.add_edge(spec.key, edge)
            recipe.placement = Placement(
                entry_key="",
                entry=ENTRY,
                asset_dir=ENTRY.asset_dir,
                exports_within=exports_within(recipe, self),
            )
        self.last = recipe
        self.graph.recipes.looked_at = 0


def exporters_for_last(engine):
    return [near.recipe.key.name for near in exporting(engine.last, engine, RecipePhase.INSTALL)]


def test_exports_are_found_through_those_that_export_nothing():
    """Exports of distant dependencies are found, nearest first."""
    names = exporters_for_last(ChainEngine(10, {3, 7}))
    assert [name for name in names if name in {"p3", "p7"}] == ["p7", "p3"]


def test_build_dependencies_of_a_dependency_export_nothing():
    """The build dependencies of a dependency may be missing, so they export nothing."""
    assert exporters_for_last(ChainEngine(3, {0}, use=DependencyUse.BUILD)) == []


def test_a_chain_without_exports_is_not_walked():
    """A script in a chain of any length reads only its direct dependency."""
    looked_at = []
    for length in (10, 1000):
        engine = ChainEngine(length, set())
        assert exporters_for_last(engine) == []
        looked_at.append(engine.graph.recipes.looked_at)
    assert looked_at == [1, 1]
