"""RecipeGraph: the recipes of one run by key, and the dependencies of each.

Owns the recipes, their edges and references, the manifest's aliases and the roots, and looks
recipes up. Only `add_edge` merges two needs of one recipe into one edge, and only it emits
DependencyAdded.

Guarantees
  The graph takes no lock: its callers hold the interpreter slot. `all_edges` may be called from any
  thread.
  Edges and references are returned in the order in which they were added. Matches are returned in
  key order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from envy import events as ev
from envy.declarations.key import Query, RecipeKey
from envy.declarations.query_match import prefer_exact
from envy.declarations.shipped import advice_to_add
from envy.declarations.spec import DependencyUse, RecipeSpec
from envy.errors import AmbiguousQuery, QueryNotFound
from envy.events import EventBus
from envy.graph.algorithms import dependencies_first
from envy.graph.recipe import Edge, Recipe, Reference, one_of_each
from envy.phase import RecipePhase
from envy.suggest import nearest


class RecipeGraph:
    """Recipes by key, with the edges between them."""

    __slots__ = (
        "_edges",
        "_events",
        "_references",
        "_source_edges",
        "aliases",
        "left_out",
        "recipes",
        "roots",
    )

    def __init__(self, events: EventBus, *, aliases: Mapping[str, RecipeKey] | None = None) -> None:
        self.recipes: dict[RecipeKey, Recipe] = {}
        self.roots: list[RecipeKey] = []  # the packages that the manifest lists
        self.left_out: set[RecipeKey] = set()  # of these, those with `exports = false`
        self.aliases: Mapping[str, RecipeKey] = dict(aliases or {})
        self._events = events
        # By owner and then by the key of the dependency, in the order of declaration.
        self._edges: dict[RecipeKey, dict[RecipeKey, Edge]] = {}
        self._source_edges: dict[RecipeKey, dict[RecipeKey, Edge]] = {}
        self._references: dict[RecipeKey, list[Reference]] = {}

    # -- growing -----------------------------------------------------------------------------------

    def add(self, spec: RecipeSpec) -> Recipe:
        """Add a recipe whose key is not in the graph yet."""
        recipe = self.recipes[spec.key] = Recipe(key=spec.key, spec=spec)
        self._edges[spec.key] = {}
        if self._events.detailed:
            self._events.emit(ev.RecipeRegistered(recipe=spec.identity, key=spec.key.canonical))
        return recipe

    def add_edge(self, owner: RecipeKey, edge: Edge, *, of_source: bool = False) -> None:
        """Add a dependency of a recipe, or of its source (`of_source`).

        Two edges from one recipe to the same key become one edge, the stricter of the two.
        """
        edges = self._source_edges.setdefault(owner, {}) if of_source else self._edges[owner]
        known = edges.get(edge.key)
        edges[edge.key] = edge if known is None else _stricter(known, edge)
        if self._events.detailed:
            self._events.emit(
                ev.DependencyAdded(
                    parent=owner.canonical,
                    dependency=edge.key.canonical,
                    kind=edge.kind,
                    needed_by=edge.needed_by,
                )
            )

    def add_reference(self, reference: Reference) -> None:
        """Add a weak or required dependency of a recipe, or of its source, to be bound later."""
        self._references.setdefault(reference.owner, []).append(reference)

    # -- edges and references ----------------------------------------------------------------------

    def edges(self, key: RecipeKey) -> tuple[Edge, ...]:
        """Return the edges to the dependencies of a recipe."""
        return tuple(self._edges[key].values())

    def source_edges(self, key: RecipeKey) -> tuple[Edge, ...]:
        """Return the edges to what must be complete before a custom source can run."""
        found = self._source_edges.get(key)
        return tuple(found.values()) if found else ()

    def all_edges(self, key: RecipeKey) -> tuple[Edge, ...]:
        """Return the edges of a recipe, and then those of its source."""
        own, source = tuple(self._edges[key].values()), self._source_edges.get(key)
        return own + tuple(source.values()) if source else own

    def needs(self, key: RecipeKey) -> list[RecipeKey]:
        """Return the keys of a recipe's dependencies, and then of its source's."""
        return [*self._edges[key], *self._source_edges.get(key, ())]

    def references(self, key: RecipeKey) -> Sequence[Reference]:
        """Return the references of a recipe and of its source."""
        return self._references.get(key, ())

    def all_references(self) -> list[Reference]:
        """Return the references of all recipes, in an order that depends on keys alone."""
        return _in_order(row for rows in self._references.values() for row in rows)

    def open_references(self, owners: Iterable[RecipeKey] | None = None) -> list[Reference]:
        """Return the references of some recipes, or of all, that are not bound, in that order."""
        keys = self._references if owners is None else owners
        return _in_order(row for key in keys for row in self.references(key) if row.open)

    # -- closures ----------------------------------------------------------------------------------

    def closure(self, keys: Iterable[RecipeKey]) -> list[RecipeKey]:
        """Return the recipes and all that they and their sources need, dependencies first."""
        return dependencies_first(keys, self.needs)

    def build_closure(self, keys: Iterable[RecipeKey]) -> list[RecipeKey]:
        """Return the recipes and all that building and running them needs, dependencies first."""
        return dependencies_first(keys, self._edges.__getitem__)

    def run_closure(self, keys: Iterable[RecipeKey]) -> list[RecipeKey]:
        """Return the recipes and everything that running them needs, dependencies first."""
        return dependencies_first(
            keys,
            lambda key: [
                needed for needed, e in self._edges[key].items() if e.use is DependencyUse.RUN
            ],
        )

    # -- finding -----------------------------------------------------------------------------------

    def find_exact(self, key: RecipeKey) -> Recipe | None:
        """Return the recipe of exactly this key; None if it is not in the graph."""
        return self.recipes.get(key)

    def aliased(self, name: str) -> Recipe | None:
        """Return the recipe with this alias in the manifest; None if it is not in the graph."""
        key = self.aliases.get(name)
        return self.recipes.get(key) if key is not None else None

    def aliases_of(self, key: RecipeKey) -> list[str]:
        """Return the aliases that the manifest gives a recipe, sorted."""
        return sorted(alias for alias, named in self.aliases.items() if named == key)

    def find_matches(self, query: str) -> list[Recipe]:
        """Return every recipe that a query matches; an alias of the manifest matches only one."""
        aliased = self.aliased(query)
        if aliased is not None:
            return [aliased]
        asked = Query.parse(query)
        found = [
            recipe
            for key, recipe in self.recipes.items()
            if not recipe.excluded and asked.matches(key, alias=recipe.alias)
        ]
        return sorted(found, key=lambda recipe: recipe.key)

    def find_one(self, query: str, *, failed: Callable[[], Iterable[RecipeKey]] = tuple) -> Recipe:
        """Return the only recipe that a query matches.

        `failed` returns the recipes that could not be read; it is called only to explain why
        nothing matches.

        Raises:
            AmbiguousQuery: several match; QueryNotFound: none does.
        """
        found = prefer_exact(query, self.find_matches(query), lambda recipe: recipe.key.canonical)
        if len(one_of_each(found)) == 1:
            return found[0]
        if found:
            raise AmbiguousQuery(query, candidates=[recipe.key.canonical for recipe in found])
        raise self._not_found(query, sorted(key.canonical for key in failed()))

    def _not_found(self, query: str, failed: Sequence[str]) -> QueryNotFound:
        # In key order: recipes are added in the order of their fetches.
        names = sorted({key.name for key in self.recipes})
        known = [*self.aliases, *names, *sorted({key.identity for key in self.recipes})]
        near = nearest(query, known)
        hint = self.overridden_answer(query)
        if hint:
            near = None
        elif failed:
            hint = f"not all recipes could be read ({', '.join(failed[:3])})"
        elif near is None:
            advice = advice_to_add(query)
            hint = f"{advice}; " * bool(advice) + "packages here: "
            hint += ", ".join(names[:12]) or "none"
        return QueryNotFound(query, nearest=[near] if near else [], hint=hint)

    def overridden_answer(self, query: str) -> str:
        """Return a hint if a package would match the query without an override; "" if none."""
        asked = Query.parse(query)
        for key in sorted(self.recipes):
            for _, spec in self.recipes[key].declarations:
                if spec.replaced is not None and asked.matches(spec.replaced.key, alias=spec.alias):
                    return f"{spec.replaced.origin} overrides {spec.replaced.key}: it is {key} here"
        return ""


def _stricter(known: Edge, edge: Edge) -> Edge:
    """Return one edge for two to the same key: the earlier phase, and use "run" if either has it.

    Kind and origin are those of the first edge.
    """
    return Edge(
        known.key,
        RecipePhase(min(known.needed_by, edge.needed_by)),
        DependencyUse.RUN if DependencyUse.RUN in {known.use, edge.use} else DependencyUse.BUILD,
        known.kind,
        known.origin,
        known.product or edge.product,
        known.exports or edge.exports,
    )


def _in_order(references: Iterable[Reference]) -> list[Reference]:
    return sorted(references, key=lambda row: (row.owner.canonical, row.of_source, row.index))
