"""Binding weak and required references, in rounds.

A round looks every open reference up in the graph as it stood at the round's start. One match: it
is bound. Several: an error that lists them. None: a weak one is bound to its fallback and never
looked up again; a required one waits for a later round. Fallbacks are made in key order.

The outcome depends on the manifest and the recipes alone. While a recipe could not be fetched, the
graph is not all there: then nothing is decided by looking, and whoever needs a decision fails.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from envy import events as ev
from envy.declarations.key import Query
from envy.declarations.query_match import prefer_exact
from envy.declarations.spec import DependencyUse, check_local_rule
from envy.errors import AmbiguousReferences, DeclarationError, GraphError, NotPlanned
from envy.graph.recipe import Edge, Recipe, Reference
from envy.phase import RecipePhase

if TYPE_CHECKING:
    from envy.engine.engine import Engine


def open_references(recipes: Iterable[Recipe]) -> list[Reference]:
    """The references that still wait to be bound, in an order that depends on keys alone."""
    found = [reference for recipe in recipes for reference in recipe.references if reference.open]
    return sorted(found, key=lambda row: (row.owner.canonical, row.of_source, row.index))


def bind_round(engine: Engine, references: Sequence[Reference]) -> bool:
    """One round; returns whether anything was bound, started or failed.

    Raises:
        AmbiguousReferences: some references have several matches.
    """
    index = _Index(engine)
    missing = _first_missing(engine)
    progress = False
    found: list[tuple[Reference, Recipe]] = []
    falling_back: list[Reference] = []
    ambiguous: list[tuple[str, list[str]]] = []
    for reference in references:
        if missing is not None and not _is_exact(engine, reference):
            _give_up(engine, reference, missing)
            progress = True
            continue
        matches = index.matches(reference)
        if len(matches) == 1:
            found.append((reference, matches[0]))
        elif matches:
            ambiguous.append((_described(reference), [row.key.canonical for row in matches]))
        elif _has_fallback(engine, reference):
            falling_back.append(reference)
    if ambiguous:
        raise AmbiguousReferences(ambiguous)
    for reference, provider in found:
        _bind(engine, reference, provider, by_fallback=False)
    for reference in sorted(falling_back, key=_fallback_order):
        _fall_back(engine, reference)
    return progress or bool(found) or bool(falling_back)


class _Index:
    """The graph at the start of a round, by what queries look for."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._by_name: dict[str, list[Recipe]] = defaultdict(list)
        self._by_product: dict[str, list[Recipe]] = defaultdict(list)
        for key in sorted(engine.recipes):
            recipe = engine.recipes[key]
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
        """Who answers a reference, in key order; never the one who asks."""
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
        """Who provides a product."""
        return self._by_product.get(product, [])

    def named(self, query: str) -> list[Recipe]:
        """Who answers to a query."""
        aliased = self._engine.aliased(query)
        if aliased is not None:
            return [aliased]
        asked = Query.parse(query)
        found = [
            recipe
            for recipe in self._by_name.get(asked.name, [])
            if asked.matches(recipe.key, alias=recipe.alias)
        ]
        return prefer_exact(query, found, lambda recipe: recipe.key.canonical)


def _has_fallback(engine: Engine, reference: Reference) -> bool:
    spec = reference.dependency.spec
    return spec is not None and engine.matches_platform(spec.platforms, spec.origin)


def _fallback_order(reference: Reference) -> tuple[str, str, bool, int]:
    spec = reference.dependency.spec
    assert spec is not None
    return (
        spec.key.canonical,
        reference.owner.canonical,
        reference.of_source,
        reference.index,
    )


def _fall_back(engine: Engine, reference: Reference) -> None:
    spec = reference.dependency.spec
    assert spec is not None
    provider = engine.ensure_recipe(spec, parent=reference.owner)
    engine.start_recipe(provider)
    _bind(engine, reference, provider, by_fallback=True)


def _bind(engine: Engine, reference: Reference, provider: Recipe, *, by_fallback: bool) -> None:
    """Make the edge that a reference stands for."""
    owner = engine.recipes[reference.owner]
    dependency = reference.dependency
    try:
        check_local_rule(owner.key, provider.key, dependency.origin)
    except DeclarationError as error:
        reference.undecided = True
        engine.fail(owner.key, error, phase=_phase_of(reference))
        return
    reference.provider = provider.key
    reference.by_fallback = by_fallback
    edge = Edge(
        provider.key,
        RecipePhase.RECIPE_FETCH if reference.of_source else dependency.needed_by,
        DependencyUse.RUN if reference.of_source else dependency.use,
        dependency.kind.value,
        dependency.origin,
        dependency.product,
    )
    if reference.of_source:
        owner.source_edges = merged(owner.source_edges, edge)
    else:
        owner.edges = merged(owner.edges, edge)
    events = engine.services.events
    if events.listening:
        events.emit(
            ev.ReferenceResolved(
                recipe=owner.key.identity,
                query=reference.text,
                kind=dependency.kind.value,
                provider=provider.key.canonical,
                by_fallback=by_fallback,
            )
        )
        events.emit(
            ev.DependencyAdded(
                parent=owner.key.canonical,
                dependency=provider.key.canonical,
                kind=edge.kind,
                needed_by=edge.needed_by,
            )
        )


def merged(edges: tuple[Edge, ...], edge: Edge) -> tuple[Edge, ...]:
    """The edges with one more; two to one key make one, the stricter of both."""
    for position, known in enumerate(edges):
        if known.key == edge.key:
            both = Edge(
                edge.key,
                RecipePhase(min(known.needed_by, edge.needed_by)),
                DependencyUse.RUN
                if DependencyUse.RUN in {known.use, edge.use}
                else DependencyUse.BUILD,
                known.kind,
                known.origin,
                known.product or edge.product,
            )
            return (*edges[:position], both, *edges[position + 1 :])
    return (*edges, edge)


# -- what cannot be decided ----------------------------------------------------------------------


def _first_missing(engine: Engine) -> Recipe | None:
    """The first recipe, in key order, that could not be fetched."""
    missing = [
        recipe
        for key, recipe in engine.recipes.items()
        if (node := engine.coordination[key]).failure is not None
        and node.current_phase < RecipePhase.RECIPE_FETCH
    ]
    return min(missing, key=lambda recipe: recipe.key, default=None)


def _is_exact(engine: Engine, reference: Reference) -> bool:
    """Whether a reference names one package, whatever else there may be."""
    dependency = reference.dependency
    if dependency.product:
        return False
    aliased = engine.aliased(dependency.query) is not None
    return aliased or any(key.canonical == dependency.query for key in engine.recipes)


def _give_up(engine: Engine, reference: Reference, missing: Recipe) -> None:
    reference.undecided = True
    if isinstance(engine.coordination[missing.key].failure, NotPlanned):
        engine.set_aside(
            reference.owner,
            f"what answers to {reference.quoted} is not known before {missing.key} is fetched",
        )
        return
    error = GraphError(
        f"cannot decide what answers to {reference.quoted}, because {missing.key} could not be "
        "fetched, and might",
        hint=f"mend {missing.key}; or name the package exactly, with its whole key or an alias of "
        "the manifest",
    )
    engine.fail(reference.owner, error, phase=_phase_of(reference))


def _phase_of(reference: Reference) -> RecipePhase:
    return RecipePhase.RECIPE_FETCH if reference.of_source else RecipePhase.CHECK


def _described(reference: Reference) -> str:
    return f"{reference.quoted}, which {reference.owner} needs ({reference.dependency.origin})"


def missing_text(engine: Engine, references: Sequence[Reference]) -> list[str]:
    """For each reference that nothing answers what it is, who needs it, and what comes near."""
    return [_described(row) + "".join(_near_misses(engine, row)) for row in references]


def _near_misses(engine: Engine, reference: Reference) -> Iterator[str]:
    """What provides the product and is not the recipe asked for, and the other way round."""
    dependency = reference.dependency
    if not dependency.product:
        return
    index = _Index(engine)
    others = [row for row in index.providers(dependency.product) if row.key != reference.owner]
    if others:
        yield f"; it is provided by {', '.join(row.key.canonical for row in others)}"
    for recipe in index.named(dependency.query) if dependency.query else ():
        known = ", ".join(sorted(recipe.provides)) or "nothing"
        yield f"; {recipe.key} answers to {dependency.query!r} and provides {known}"
