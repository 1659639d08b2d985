"""Binding weak and required references, in rounds.

A round looks up every open reference in the graph as it was at the start of the round. With one
match, the reference is bound. With several, an error lists them. With none, a weak reference is
bound to its fallback and never looked up again; a required one waits for a later round. Fallbacks
are created in key order.

The outcome depends on the manifest and the recipes alone. While a recipe could not be fetched, the
graph is incomplete: no reference is decided by looking it up, and the owner of each open one fails.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from envy.declarations.key import Query
from envy.declarations.query_match import prefer_exact
from envy.declarations.spec import DependencyUse, RecipeSpec, check_local_rule
from envy.declarations.tables import is_included
from envy.engine.recipe_coordination import RecipeCoordination
from envy.engine.recipe_maker import RecipeMaker
from envy.errors import AmbiguousReferences, DeclarationError, GraphError, NotPlanned
from envy.events import EventBus, ReferenceResolved
from envy.graph.recipe import Edge, Recipe, Reference, one_of_each
from envy.graph.recipe_graph import RecipeGraph
from envy.host.platform import Platform
from envy.phase import RecipePhase


def bind_round(
    graph: RecipeGraph,
    references: Sequence[Reference],
    *,
    coordination: RecipeCoordination,
    maker: RecipeMaker,
    events: EventBus,
    platform: Platform,
) -> bool:
    """Run one round; return whether a reference was bound, a recipe started, or one failed.

    Raises:
        AmbiguousReferences: some references have several matches.
    """
    binder = _Binder(graph, coordination, maker, events, platform)
    index = _Index(graph)
    missing = binder.first_missing()
    progress = False
    found: list[tuple[Reference, Recipe]] = []
    falling_back: list[tuple[Reference, RecipeSpec]] = []
    ambiguous: list[tuple[str, list[str]]] = []
    for reference in references:
        if missing is not None and not _is_exact(graph, reference):
            binder.give_up(reference, missing)
            progress = True
            continue
        matches = one_of_each(index.matches(reference))
        if len(matches) == 1:
            found.append((reference, matches[0]))
        elif matches:
            ambiguous.append((_described(reference), [row.key.canonical for row in matches]))
        elif (spec := binder.fallback(reference)) is not None:
            falling_back.append((reference, spec))
    if ambiguous:
        raise AmbiguousReferences(ambiguous)
    for reference, provider in found:
        binder.bind(reference, provider, by_fallback=False)
    for reference, spec in sorted(falling_back, key=_fallback_order):
        provider = maker.declare(spec, parent=reference.owner)
        binder.bind(reference, provider, by_fallback=True)
    return progress or bool(found) or bool(falling_back)


@dataclass(frozen=True, slots=True)
class _Binder:
    """Applies the decisions of a round to single references."""

    graph: RecipeGraph
    coordination: RecipeCoordination
    maker: RecipeMaker
    events: EventBus
    platform: Platform

    def first_missing(self) -> Recipe | None:
        """Return the first recipe, in key order, that could not be fetched."""
        coordination = self.coordination
        missing = [key for key in coordination.failed() if not coordination.is_fetched(key)]
        return self.graph.recipes[min(missing)] if missing else None

    def fallback(self, reference: Reference) -> RecipeSpec | None:
        """Return the fallback of a weak reference, if it has one that exists on this platform."""
        spec = reference.dependency.spec
        if spec is None or not is_included(spec.platforms, self.platform, spec.origin):
            return None
        return spec

    def bind(self, reference: Reference, provider: Recipe, *, by_fallback: bool) -> None:
        """Add the edge that a reference stands for."""
        owner, dependency = self.graph.recipes[reference.owner], reference.dependency
        try:
            check_local_rule(owner.key, provider.key, dependency.origin)
        except DeclarationError as error:
            reference.undecided = True
            self.coordination.fail(owner.key, error, phase=_phase_of(reference))
            return
        reference.provider = provider.key
        reference.by_fallback = by_fallback
        if self.events.listening:
            self.events.emit(
                ReferenceResolved(
                    recipe=owner.key.identity,
                    query=reference.text,
                    kind=dependency.kind.value,
                    provider=provider.key.canonical,
                    by_fallback=by_fallback,
                )
            )
        edge = Edge(
            provider.key,
            RecipePhase.RECIPE_FETCH if reference.of_source else dependency.needed_by,
            DependencyUse.RUN if reference.of_source else dependency.use,
            dependency.kind.value,
            dependency.origin,
            dependency.product,
            dependency.exports,
        )
        self.graph.add_edge(owner.key, edge, of_source=reference.of_source)

    def give_up(self, reference: Reference, missing: Recipe) -> None:
        """Fail the owner of a reference that cannot be decided without a missing recipe."""
        reference.undecided = True
        if isinstance(self.coordination.failure(missing.key), NotPlanned):
            self.coordination.set_aside(
                reference.owner,
                f"what answers to {reference.quoted} is not known before {missing.key} is fetched",
            )
            return
        error = GraphError(
            f"cannot decide what answers to {reference.quoted}, because {missing.key} could not be "
            "fetched and might be the one",
            hint=f"correct the error of {missing.key}; or name the package exactly, with its whole "
            "key or an alias of the manifest",
        )
        self.coordination.fail(reference.owner, error, phase=_phase_of(reference))


class _Index:
    """The graph at the start of a round, by the names and products in queries."""

    def __init__(self, graph: RecipeGraph) -> None:
        self._graph = graph
        self._by_name: dict[str, list[Recipe]] = defaultdict(list)
        self._by_product: dict[str, list[Recipe]] = defaultdict(list)
        for key in sorted(graph.recipes):
            recipe = graph.recipes[key]
            if recipe.excluded:
                continue
            names = {key.name, f"{key.namespace}.{key.name}"}
            if recipe.alias:
                names.add(recipe.alias)
            for name in names:
                self._by_name[name].append(recipe)
            for product in recipe.provides:
                self._by_product[product].append(recipe)

    def matches(self, reference: Reference) -> list[Recipe]:
        """Return the recipes that match a reference, in key order; never its owner."""
        dependency = reference.dependency
        if dependency.product:
            candidates = self.providers(dependency.product)
            if dependency.query:
                answering = {recipe.key for recipe in self.named(dependency.query)}
                candidates = [recipe for recipe in candidates if recipe.key in answering]
        else:
            candidates = self.named(dependency.query)
        return [recipe for recipe in candidates if recipe.key != reference.owner]

    def providers(self, product: str) -> list[Recipe]:
        """Return the recipes that provide a product."""
        return self._by_product.get(product, [])

    def named(self, query: str) -> list[Recipe]:
        """Return the recipes that match a query."""
        aliased = self._graph.aliased(query)
        if aliased is not None:
            return [aliased]
        asked = Query.parse(query)
        found = [
            recipe
            for recipe in self._by_name.get(asked.name, [])
            if asked.matches(recipe.key, alias=recipe.alias)
        ]
        return prefer_exact(query, found, lambda recipe: recipe.key.canonical)


def _fallback_order(row: tuple[Reference, RecipeSpec]) -> tuple[str, str, bool, int]:
    reference, spec = row
    return (
        spec.key.canonical,
        reference.owner.canonical,
        reference.of_source,
        reference.index,
    )


def _is_exact(graph: RecipeGraph, reference: Reference) -> bool:
    """Return whether a reference names one package, whatever else is in the graph."""
    dependency = reference.dependency
    if dependency.product:
        return False
    aliased = graph.aliased(dependency.query) is not None
    return aliased or any(key.canonical == dependency.query for key in graph.recipes)


def _phase_of(reference: Reference) -> RecipePhase:
    return RecipePhase.RECIPE_FETCH if reference.of_source else RecipePhase.CHECK


def _described(reference: Reference) -> str:
    return f"{reference.quoted}, which {reference.owner} needs ({reference.dependency.origin})"


# -- what nothing matches ------------------------------------------------------------------------


def missing_text(graph: RecipeGraph, references: Sequence[Reference]) -> list[str]:
    """Return lines for each reference without a match: the reference, its owner, near matches."""
    return [_described(row) + "".join(_near_misses(graph, row)) for row in references]


def _near_misses(graph: RecipeGraph, reference: Reference) -> Iterator[str]:
    """Yield the other providers of the product, and what the named recipe provides."""
    dependency = reference.dependency
    if dependency.query and (said := graph.overridden_answer(dependency.query)):
        yield f"; {said}"
    if not dependency.product:
        return
    index = _Index(graph)
    others = [row for row in index.providers(dependency.product) if row.key != reference.owner]
    if others:
        yield f"; it is provided by {', '.join(row.key.canonical for row in others)}"
    for recipe in index.named(dependency.query) if dependency.query else ():
        known = ", ".join(sorted(recipe.provides)) or "nothing"
        yield f"; {recipe.key} answers to {dependency.query!r} and provides {known}"
