"""Resolution: from the roots to a complete, checked graph without a cycle.

The outcome depends on the manifest and the recipes alone. Errors about the graph as a whole are
found when no recipe is being fetched, and in key order.

A stage fetches everything that is not held, and follows its strong dependencies. It then binds, in
rounds, only the references in the closures of held sources' dependencies, and runs every custom
fetch that can be run. When nothing is held, the remaining references are bound in the same way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from envy.declarations.key import RecipeKey
from envy.declarations.sources import Scheme, SourceItem, local_path, scheme_of
from envy.declarations.spec import (
    NO_OVERRIDES,
    Overrides,
    RecipeSpec,
    are_written_alike,
    source_text,
)
from envy.engine.binding import missing_text
from envy.engine.custom_sources import CustomSources
from envy.engine.recipe_coordination import RecipeCoordination
from envy.engine.recipe_maker import RecipeMaker
from envy.errors import CycleError, DeclarationError, MissingReferences
from envy.graph.algorithms import shortest_cycle
from envy.graph.recipe import Reference
from envy.graph.recipe_graph import RecipeGraph
from envy.phase import RecipePhase


class Resolution:
    """Grows the graph from the roots of the manifest.

    `bind_round` binds those of some references that it can, and returns whether anything changed;
    `wait_for_fetches` blocks until every declared recipe has been fetched, or has failed.
    """

    def __init__(
        self,
        graph: RecipeGraph,
        coordination: RecipeCoordination,
        maker: RecipeMaker,
        custom_sources: CustomSources,
        *,
        bind_round: Callable[[Sequence[Reference]], bool],
        wait_for_fetches: Callable[[], None],
        platform_tag: str,
        overrides: Overrides = NO_OVERRIDES,
    ) -> None:
        self._graph = graph
        self._coordination = coordination
        self._maker = maker
        self._custom_sources = custom_sources
        self._bind_round = bind_round
        self._wait_for_fetches = wait_for_fetches
        self._platform_tag = platform_tag
        self._overrides = overrides

    def resolve(self, roots: Sequence[RecipeSpec]) -> None:
        """Fetch every recipe that the roots lead to, and check the graph as a whole.

        Raises:
            GraphError: a cycle, or references that are ambiguous or match nothing.
            DeclarationError: one key from two sources, or an override of nothing.
        """
        graph, sources = self._graph, self._custom_sources
        graph.roots += [self._maker.ensure(spec).key for spec in roots]
        graph.left_out.update(spec.key for spec in roots if not spec.exports)
        for key in graph.roots:
            self._maker.start(graph.recipes[key])
        self._settle()
        while True:
            if sources.any_held:
                if not self._bind_round(sources.early_references()):
                    sources.run_stage()
            else:
                references = graph.open_references()
                if not references:
                    break
                if not self._bind_round(references):
                    rows = missing_text(graph, references)
                    raise MissingReferences([f"nothing answers to {row}" for row in rows])
            self._settle()
        if self._overrides is not NO_OVERRIDES:
            self._check_overrides()

    def _settle(self) -> None:
        """Wait until everything that can be fetched has been, and check the graph so far."""
        self._wait_for_fetches()
        _check_sources(self._graph)
        _check_cycles(self._graph)
        self._check_platforms()
        self._check_products()

    def _check_platforms(self) -> None:
        """Fail every recipe that needs a recipe that is excluded on this platform."""
        recipes = self._graph.recipes
        for key in sorted(recipes):
            for edge in self._graph.all_edges(key):
                if recipes[edge.key].excluded:
                    error = DeclarationError(
                        f"{edge.key} is not for {self._platform_tag}",
                        origin=edge.origin,
                        hint="give the dependency the same `platforms`, so that it is left out too",
                    )
                    self._fail(key, error)

    def _check_products(self) -> None:
        """Fail every recipe that needs a product that the recipe bound to it does not provide."""
        recipes = self._graph.recipes
        for key in sorted(recipes):
            for edge in self._graph.all_edges(key):
                if not edge.product:
                    continue
                provider = recipes[edge.key]
                if edge.product in provider.provides or provider.loaded_or_none is None:
                    continue
                known = ", ".join(sorted(provider.provides)) or "nothing"
                error = DeclarationError(
                    f"{edge.key} should provide the product {edge.product!r} but provides {known}",
                    origin=edge.origin,
                    hint=f"add it to the products of {edge.key.identity}, or name another recipe",
                )
                self._fail(key, error)

    def _check_overrides(self) -> None:
        """Raise for an override that changes nothing, unless a recipe could not be read."""
        from envy.declarations.overrides import describe_unused, unused
        from envy.suggest import did_you_mean

        recipes = [self._graph.recipes[key] for key in sorted(self._graph.recipes)]
        if any(recipe.loaded_or_none is None for recipe in recipes):
            return
        found = unused(
            self._overrides,
            [(row.key, row.loaded.definition.declarations or ()) for row in recipes],
        )
        for override in found:
            names = {name for key in self._graph.recipes for name in (key.name, key.identity)}
            raise DeclarationError(
                f'`overrides["{override.name}"]` changes nothing: {describe_unused(override)}',
                origin=override.origin,
                hint=did_you_mean(override.name, names) if override.name != "*" else "",
            )

    def _fail(self, key: RecipeKey, error: DeclarationError) -> None:
        """Fail a recipe in the phase that cannot run because of a mistake in its edges."""
        fetched = self._coordination.is_fetched(key)
        phase = RecipePhase.CHECK if fetched else RecipePhase.RECIPE_FETCH
        self._coordination.fail(key, error, phase=phase)


def _check_sources(graph: RecipeGraph) -> None:
    """Check that every key comes from one source, whichever recipe names it."""
    for key in sorted(graph.recipes):
        recipe = graph.recipes[key]
        if len(recipe.declarations) == 1:
            continue
        # Line numbers are searched for only in case of an error, since that reads the file again.
        first = recipe.spec.source
        places = {source_text(first): recipe.spec}
        for _parent, spec in recipe.declarations:
            if spec.source is not first and not are_written_alike(spec.source, first):
                places.setdefault(source_text(spec.source), spec)
        if len(places) > 1:
            said = sorted(f"{spec.origin}: {where}" for where, spec in places.items())
            rows = "\n".join(f"    {row}" for row in said)
            raise DeclarationError(
                f"{key} is declared from {len(places)} different sources\n{rows}",
                hint=_missing_file(places.values())
                or "one key is one recipe: give both the same source, or another revision",
            )


def _missing_file(specs: Iterable[RecipeSpec]) -> str:
    """Return a hint if one of the sources is a relative path that leads to no file; else ""."""
    for spec in specs:
        source = spec.source
        if isinstance(source, SourceItem) and scheme_of(source.source) is Scheme.LOCAL:
            path = local_path(source)
            if not path.exists() and not source.source.startswith("/"):
                return (
                    f"{path} does not exist: a relative path starts from the folder of the file "
                    "that names it, also if that is a fetched recipe"
                )
    return ""


def _check_cycles(graph: RecipeGraph) -> None:
    cycle = shortest_cycle({key: graph.needs(key) for key in graph.recipes})
    if cycle is None:
        return
    steps = []
    for key, following in zip(cycle, [*cycle[1:], cycle[0]], strict=True):
        edge = next(edge for edge in graph.all_edges(key) if edge.key == following)
        replaced = graph.recipes[following].spec.replaced
        origin = f"{edge.origin}, overridden in {replaced.origin}" if replaced else str(edge.origin)
        steps.append((key.canonical, edge.needed_by.label, origin))
    raise CycleError(steps)
