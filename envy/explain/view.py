"""The resolved graph as plain data, for everything that shows it.

Owns what is told of a package and of an edge, and in which words. Everything is in key order.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from envy.declarations.spec import CustomSource, Use
from envy.engine.engine import is_left_out
from envy.errors import DependencyFailed
from envy.graph.algorithms import dependencies_first
from envy.graph.recipe import Edge, Recipe, Reference
from envy.phase import RecipePhase

if TYPE_CHECKING:
    from envy.declarations.key import RecipeKey
    from envy.engine.engine import Engine


class State(Enum):
    """What a graph says of a package, in the words that it is shown with."""

    CACHED = "cached"
    MISSING = "not installed"
    USER_MANAGED = "user-managed"
    HELD = "held"  # its recipe is not known before the tools of its source are installed
    EXCLUDED = "not for this platform"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeView:
    """What one package needs of another."""

    target: str
    kind: str  # strong, weak, required, or shell: the manifest's default shell
    of_source: bool  # needed to fetch the recipe itself
    needed_by: str
    use: str
    product: str
    looked_for: str  # of a weak or required one
    by_fallback: bool
    origin: str

    @property
    def label(self) -> str:
        """All that is not the usual, in a few words; of a strong edge for running, just that."""
        words = [self.kind]
        if self.of_source:
            words = ["source"] if self.kind == "strong" else ["source", self.kind]
        if self.looked_for:
            words[-1] += f" {self.looked_for}"
        elif self.product:
            words[-1] += f" product {self.product}"
        if self.by_fallback:
            words.append("fallback")
        if not self.of_source and self.needed_by != RecipePhase.CHECK.label:
            words.append(f"by {self.needed_by}")
        if self.use != Use.RUN.value:
            words.append(f"use {self.use}")
        return ", ".join(words)


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageView:
    """One package of the graph."""

    key: str
    identity: str
    options: Mapping[str, object]
    aliases: tuple[str, ...]
    state: State
    phase: str  # the last one completed
    user_managed: bool
    custom_source: bool
    is_root: bool
    entry_key: str
    asset_dir: str
    products: tuple[str, ...]
    origin: str
    reason: str  # why it failed or is held
    edges: tuple[EdgeView, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphView:
    """Packages by key, in key order, from the roots that were asked for."""

    platform: str
    manifest: str
    roots: tuple[str, ...]
    packages: Mapping[str, PackageView]

    def edges(self) -> Iterator[tuple[PackageView, EdgeView]]:
        """Every edge with the package that has it."""
        for package in self.packages.values():
            for edge in package.edges:
                yield package, edge


def view_graph(engine: Engine, roots: Iterable[RecipeKey], *, manifest: str) -> GraphView:
    """What the roots lead to, after resolution and, for the states, after `compute_keys`."""
    roots = sorted(set(roots))
    closure = dependencies_first(roots, lambda key: [e.key for e in engine.all_edges(key)])
    return GraphView(
        platform=engine.services.platform.tag,
        manifest=manifest,
        roots=tuple(key.canonical for key in roots),
        packages={key.canonical: _package(engine, engine.recipes[key]) for key in sorted(closure)},
    )


def _package(engine: Engine, recipe: Recipe) -> PackageView:
    node = engine.coordination[recipe.key]
    definition = recipe.definition
    own_alias = [definition.alias] if definition and definition.alias else []
    return PackageView(
        key=recipe.key.canonical,
        identity=recipe.key.identity,
        options=dict(recipe.key.options),
        aliases=tuple(dict.fromkeys([*engine.aliases_of(recipe.key), *own_alias])),
        state=state_of(engine, recipe),
        phase=RecipePhase(node.current_phase).label,
        user_managed=bool(definition and definition.user_managed),
        custom_source=isinstance(recipe.spec.source, CustomSource),
        is_root=recipe.key in engine.roots,
        entry_key=recipe.entry_key,
        asset_dir=str(recipe.asset_dir or ""),
        products=tuple(sorted(recipe.provides)),
        origin=str(recipe.spec.origin),
        reason=why_not(recipe.key.canonical, node.failure) if node.failure else "",
        edges=tuple(edges_of(recipe)),
    )


def state_of(engine: Engine, recipe: Recipe) -> State:
    """How a package stands."""
    failure = engine.coordination[recipe.key].failure
    if failure is not None:
        return State.HELD if is_left_out(failure) else State.FAILED
    if recipe.excluded:
        return State.EXCLUDED
    if recipe.definition is not None and recipe.definition.user_managed:
        return State.USER_MANAGED
    is_there = recipe.cached or engine.is_complete(recipe.key)
    return State.CACHED if is_there else State.MISSING


def why_not(key: str, failure: Exception) -> str:
    """In one line, why a package failed or is not known."""
    if isinstance(failure, DependencyFailed):
        return f"it needs {failure.dependency}"
    return str(failure.args[0]).partition("\n")[0].removeprefix(f"{key}: ")


def edges_of(recipe: Recipe) -> Iterator[EdgeView]:
    """What a recipe needs, its source first, each part in key order."""
    for edges, of_source in ((recipe.source_edges, True), (recipe.edges, False)):
        for edge in sorted(edges, key=lambda edge: edge.key):
            yield _edge(recipe, edge, of_source=of_source)


def _edge(recipe: Recipe, edge: Edge, *, of_source: bool) -> EdgeView:
    reference = _reference(recipe, edge, of_source=of_source)
    kind = "strong" if edge.kind == "source" else edge.kind
    return EdgeView(
        target=edge.key.canonical,
        kind=kind,
        of_source=of_source,
        needed_by=edge.needed_by.label,
        use=edge.use.value,
        product=edge.product,
        looked_for=reference.text if reference and kind != "strong" else "",
        by_fallback=bool(reference and reference.by_fallback),
        origin=str(edge.origin),
    )


def _reference(recipe: Recipe, edge: Edge, *, of_source: bool) -> Reference | None:
    """The reference that an edge was made for, if it was made for one."""
    rows = [
        row for row in recipe.references if row.provider == edge.key and row.of_source == of_source
    ]
    exact = [row for row in rows if row.dependency.origin == edge.origin]
    return next(iter(exact or rows), None)
