"""Hand-written recipe graphs, for tests that need no engine.

Recipes have short names: `a` is `local.a@r1`.
"""

from pathlib import Path

from loaded import loaded_recipe

from envy.declarations.definition import RecipeDefinition
from envy.declarations.key import RecipeKey
from envy.declarations.products import Product
from envy.declarations.sources import SourceItem
from envy.declarations.spec import (
    Address,
    CustomSource,
    Dependency,
    DependencyKind,
    DependencyUse,
    RecipeSpec,
)
from envy.errors import SourceLocation
from envy.events import EventBus
from envy.graph.recipe import Edge, Reference
from envy.graph.recipe_graph import RecipeGraph
from envy.phase import RecipePhase

ORIGIN = SourceLocation(Path("/project/envy.lua"), 1)


class Recording:
    """A listener that keeps the events it receives."""

    def __init__(self):
        self.events = []

    def on_event(self, stamped):
        self.events.append(stamped.event)

    def close(self):
        pass

    def of(self, kind):
        """Return the events of one class, in order."""
        return [event for event in self.events if isinstance(event, kind)]


def key_of(name):
    """Return the key of a short name; a full key is returned unchanged."""
    return RecipeKey.parse(name if "@" in name else f"local.{name}@r1")


def names_of(keys):
    """Return the short names of keys or recipes, in order."""
    return [getattr(one, "key", one).name for one in keys]


def spec_of(name, *, source_needs=None, platforms=()):
    """Return the spec of a recipe; `source_needs` are the dependencies of a custom source."""
    key = key_of(name)
    source = SourceItem(source=f"{key.name}.lua", base_dir=Path("/project"))
    if source_needs is not None:
        fetch = Address(ORIGIN.path, ())
        source = CustomSource(dependencies=tuple(source_needs), fetch=fetch, origin=ORIGIN)
    return RecipeSpec(
        identity=key.identity,
        options=key.options,
        source=source,
        platforms=platforms,
        origin=ORIGIN,
    )


def edge_to(name, *, use=DependencyUse.RUN, kind="strong", product="", exports=True, **phase):
    """Return an edge to a recipe, by default needed by check."""
    needed_by = phase.get("needed_by", RecipePhase.CHECK)
    return Edge(key_of(name), needed_by, use, kind, ORIGIN, product, exports)


def strong(name, *, needed_by=RecipePhase.CHECK, use=DependencyUse.RUN, platforms=()):
    """Return a dependency on a recipe that has a source."""
    return Dependency(
        spec=spec_of(name),
        needed_by=needed_by,
        use=use,
        kind=DependencyKind.STRONG,
        platforms=platforms,
        origin=ORIGIN,
    )


def looked_up(query="", *, fallback="", product="", fallback_platforms=()):
    """Return a weak dependency if there is a fallback, or else a required one."""
    return Dependency(
        spec=spec_of(fallback, platforms=fallback_platforms) if fallback else None,
        kind=DependencyKind.WEAK if fallback else DependencyKind.REQUIRED,
        query=query,
        product=product,
        origin=ORIGIN,
    )


def refer(graph, owner, dependency, *, of_source=False):
    """Add a reference to the graph, and return it."""
    index = len(graph.references(key_of(owner)))
    reference = Reference(key_of(owner), index, dependency, of_source)
    graph.add_reference(reference)
    return reference


def load(graph, name, *, provides=(), **definition):
    """Set the state of a recipe as if recipe_fetch had loaded a file with these fields."""
    recipe = graph.recipes[key_of(name)]
    said = RecipeDefinition(identity=recipe.key.identity, path=Path(f"/{name}.lua"), **definition)
    products = {product: Product(path=f"bin/{product}") for product in provides}
    recipe.loaded = loaded_recipe(said, provides=products)
    return recipe


def graph_of(needs, *, aliases=None, listeners=()):
    """Return a graph of loaded recipes by name, each with the names or edges that it needs."""
    named = {alias: key_of(name) for alias, name in (aliases or {}).items()}
    graph = RecipeGraph(EventBus(listeners), aliases=named)
    for name in needs:
        graph.add(spec_of(name))
        load(graph, name)
    for name, wanted in needs.items():
        for one in wanted:
            graph.add_edge(key_of(name), edge_to(one) if isinstance(one, str) else one)
    return graph
