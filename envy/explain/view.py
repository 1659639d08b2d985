"""The resolved graph as plain data, for every output format.

Owns what is shown about a package and an edge, and the words for it. Everything is in key order.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from envy.cache.failure import last_failure
from envy.console.text import format_seconds
from envy.declarations.spec import CustomSource, DependencyUse
from envy.engine.failures import is_left_out
from envy.errors import DependencyFailed
from envy.graph.algorithms import dependencies_first
from envy.graph.recipe import Edge, Recipe, Reference
from envy.phase import RecipePhase

if TYPE_CHECKING:
    from envy.declarations.key import RecipeKey
    from envy.engine.session import Session


class State(Enum):
    """The state of a package, in the words that users see."""

    CACHED = "cached"
    MISSING = "not installed"
    USER_MANAGED = "user-managed"
    HELD = "held"  # its recipe is unknown until the tools of its custom source are installed
    EXCLUDED = "not for this platform"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeView:
    """One dependency of a package."""

    target: str
    kind: str  # strong, weak, required, or shell: the manifest's default shell
    of_source: bool  # required to fetch the recipe itself
    needed_by: str
    use: str
    product: str
    looked_for: str  # the query of a weak or required dependency
    by_fallback: bool
    origin: str

    @property
    def label(self) -> str:
        """Return the kind and everything unusual about the edge, in a few words."""
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
        if self.use != DependencyUse.RUN.value:
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
    phase: str  # the last completed phase
    user_managed: bool
    custom_source: bool
    bundle: str  # the recipe bundle that its recipe is from, or ""
    is_root: bool
    entry_key: str
    asset_dir: str
    products: tuple[str, ...]
    origin: str
    reason: str  # why the package failed or is held
    edges: tuple[EdgeView, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CriticalPath:
    """The chain of packages that would take longest if nothing were installed yet.

    Amounts are seconds if `is_measured`, and otherwise numbers of phases.
    """

    amounts: Mapping[str, float]  # by key, dependencies first: what each package adds to the total
    edges: frozenset[tuple[str, EdgeView]]  # with the key of the package that has the edge
    is_measured: bool

    @property
    def total(self) -> float:
        """The length of the whole path."""
        return sum(self.amounts.values())

    @property
    def unit(self) -> str:
        """What the amounts count."""
        return "seconds" if self.is_measured else "phases"

    def text(self, amount: float) -> str:
        """Return an amount for a reader: `12.4s`, or `3 phases`."""
        if self.is_measured:
            return format_seconds(amount)
        phases = round(amount)
        return f"{phases} phase{'' if phases == 1 else 's'}"


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphView:
    """Packages by key, in key order, reachable from the requested roots."""

    platform: str
    manifest: str
    roots: tuple[str, ...]
    packages: Mapping[str, PackageView]
    critical: CriticalPath | None = None

    def edges(self) -> Iterator[tuple[PackageView, EdgeView]]:
        """Yield every edge with the package that declares it."""
        for package in self.packages.values():
            for edge in package.edges:
                yield package, edge

    def is_critical(self, package: PackageView, edge: EdgeView | None = None) -> bool:
        """Return whether the package, or its edge, lies on the critical path."""
        if self.critical is None:
            return False
        if edge is not None:
            return (package.key, edge) in self.critical.edges
        return package.key in self.critical.amounts


def view_graph(session: Session, roots: Iterable[RecipeKey], *, manifest: str) -> GraphView:
    """Return the packages reachable from the roots; call after resolution and `compute_keys`."""
    roots = sorted(set(roots))
    closure = dependencies_first(roots, lambda key: [e.key for e in session.all_edges(key)])
    return GraphView(
        platform=session.platform_tag,
        manifest=manifest,
        roots=tuple(key.canonical for key in roots),
        packages={key.canonical: _package(session, session.recipe(key)) for key in sorted(closure)},
    )


def _package(session: Session, recipe: Recipe) -> PackageView:
    own_alias = [recipe.alias] if recipe.alias else []
    return PackageView(
        key=recipe.key.canonical,
        identity=recipe.key.identity,
        options=dict(recipe.key.options),
        aliases=tuple(dict.fromkeys([*session.aliases_of(recipe.key), *own_alias])),
        state=state_of(session, recipe),
        phase=session.phase_of(recipe.key).label,
        user_managed=recipe.user_managed,
        custom_source=isinstance(recipe.spec.source, CustomSource),
        bundle=loaded.bundle if (loaded := recipe.loaded_or_none) is not None else "",
        is_root=recipe.key in session.roots,
        entry_key=recipe.entry_key,
        asset_dir=str(recipe.asset_dir or ""),
        products=tuple(sorted(recipe.provides)),
        origin=str(recipe.spec.origin),
        reason=_reason(session, recipe),
        edges=tuple(edges_of(session, recipe.key)),
    )


def state_of(session: Session, recipe: Recipe) -> State:
    """Return the state of a package."""
    failure = session.failure_of(recipe.key)
    if failure is not None:
        return State.HELD if is_left_out(failure) else State.FAILED
    if recipe.excluded:
        return State.EXCLUDED
    if recipe.user_managed:
        return State.USER_MANAGED
    if recipe.work.cached or session.is_complete(recipe.key):
        return State.CACHED
    return State.FAILED if _failed_before(recipe) else State.MISSING


def _reason(session: Session, recipe: Recipe) -> str:
    failure = session.failure_of(recipe.key)
    if failure is not None:
        return why_not(recipe.key.canonical, failure)
    return _failed_before(recipe) if state_of(session, recipe) is State.FAILED else ""


def _failed_before(recipe: Recipe) -> str:
    """Return why the last attempt of an earlier run at a missing package failed, or ""."""
    placement = recipe.placement_or_none
    return last_failure(placement.entry) if placement is not None else ""


def why_not(key: str, failure: Exception) -> str:
    """Return one line that says why a package failed or is unknown."""
    if isinstance(failure, DependencyFailed):
        return f"it needs {failure.dependency}"
    return str(failure.args[0]).partition("\n")[0].removeprefix(f"{key}: ")


def edges_of(session: Session, key: RecipeKey) -> Iterator[EdgeView]:
    """Yield the edges of a recipe, those of its source first, each part in key order."""
    for edges, of_source in ((session.source_edges(key), True), (session.edges(key), False)):
        for edge in sorted(edges, key=lambda edge: edge.key):
            yield _edge(edge, session.references(key), of_source=of_source)


def _edge(edge: Edge, references: Sequence[Reference], *, of_source: bool) -> EdgeView:
    reference = _reference(edge, references, of_source=of_source)
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


def _reference(edge: Edge, references: Sequence[Reference], *, of_source: bool) -> Reference | None:
    """Return the reference that an edge was created for, if any."""
    rows = [row for row in references if row.provider == edge.key and row.of_source == of_source]
    exact = [row for row in rows if row.dependency.origin == edge.origin]
    return next(iter(exact or rows), None)
