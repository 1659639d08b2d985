"""The right outcome of a world, computed one step at a time and without threads.

A second implementation of the resolution in the architecture: stages, rounds, demand, gates. It
shares no code with the engine, and is obvious rather than fast.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import networkx as nx
from engine.worlds import Blueprint, Need, World

from envy.declarations.spec import DependencyUse
from envy.phase import RecipePhase

CHECK, FETCH = RecipePhase.CHECK, RecipePhase.FETCH
RECIPE_FETCH, COMPLETION = RecipePhase.RECIPE_FETCH, RecipePhase.COMPLETION


@dataclass
class Link:
    """An edge of the expected graph."""

    target: str
    needed_by: RecipePhase
    use: DependencyUse
    kind: str
    product: str


@dataclass
class Wish:
    """A reference that is looked up until it is bound."""

    owner: str
    position: int
    need: Need
    of_source: bool
    provider: str = ""
    by_fallback: bool = False
    undecided: bool = False

    @property
    def is_open(self) -> bool:
        return not self.provider and not self.undecided

    @property
    def text(self) -> str:
        if not self.need.product:
            return self.need.query
        by = f" by {self.need.query}" if self.need.query else ""
        return f"product {self.need.product}{by}"

    @property
    def quoted(self) -> str:
        if not self.need.product:
            return f"{self.need.query!r}"
        by = f" of {self.need.query!r}" if self.need.query else ""
        return f"the product {self.need.product!r}{by}"


@dataclass
class Node:
    """The state of a recipe of the graph."""

    blueprint: Blueprint
    links: list[Link] = field(default_factory=list)
    source_links: list[Link] = field(default_factory=list)
    wishes: list[Wish] = field(default_factory=list)
    held: bool = False
    fetched: bool = False
    has_key: bool = False
    cached: bool = False
    wanted: bool = False
    ran: list[RecipePhase] = field(default_factory=list)
    failure: Failure | None = None
    outcome: str = ""


@dataclass(frozen=True)
class Failure:
    """Why a recipe did not complete; `dependency` and `root` if another recipe failed."""

    phase: RecipePhase
    dependency: str = ""
    root: str = ""


class Refused(Exception):
    """The graph as a whole is an error; keeps its kind and the references."""

    def __init__(self, sort: str, about: object) -> None:
        super().__init__(sort, about)
        self.sort = sort
        self.about = about


class Model:
    """One run of one world."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.graph: dict[str, Node] = {}
        self.held_ever: set[str] = set()

    # -- operations ------------------------------------------------------------------------------

    def resolve(self) -> None:
        """Resolve the graph stage by stage and round by round; raise Refused."""
        for root in self.world.roots:
            self._instantiate(root)
        self._judge()
        while True:
            held = [key for key, node in self.graph.items() if node.held]
            if held:
                if not self._round(self._open(self._closure(held))):
                    self._run_custom_fetches()
            else:
                wishes = self._open(self.graph)
                if not wishes:
                    return
                if not self._round(wishes):
                    raise Refused("missing", {(wish.owner, wish.quoted) for wish in wishes})
            self._judge()

    def run(self) -> None:
        """Complete the goals."""
        goals = self.world.goals or self.world.roots
        self._bring([goal for goal in goals if not self._known_excluded(goal)])

    # -- building the graph ----------------------------------------------------------------------

    def _instantiate(self, key: str) -> None:
        if key in self.graph:
            return
        blueprint = self.world.recipes[key]
        node = self.graph[key] = Node(blueprint)
        if blueprint.source is None:
            self._fetch(node)
            return
        node.held = True
        self._declare(node, blueprint.source, of_source=True)

    def _fetch(self, node: Node) -> None:
        blueprint = node.blueprint
        node.ran.append(RECIPE_FETCH)
        if blueprint.fails_in is RECIPE_FETCH:
            node.failure = Failure(RECIPE_FETCH)
            node.fetched = blueprint.fails_late
            return
        node.fetched = True
        if not blueprint.excluded:
            self._declare(node, blueprint.needs, of_source=False)

    def _declare(self, node: Node, needs: tuple[Need, ...], *, of_source: bool) -> None:
        key = node.blueprint.key
        if any(n.here and n.target and self._breaks_local_rule(key, n.target) for n in needs):
            node.failure = Failure(RECIPE_FETCH)
            return
        for position, need in enumerate(needs):
            if not need.here:
                continue
            if need.kind == "strong":
                self._link(node, need, need.target, of_source=of_source)
                self._instantiate(need.target)
            else:
                node.wishes.append(Wish(key, position, need, of_source))

    def _link(self, node: Node, need: Need, target: str, *, of_source: bool) -> None:
        links = node.source_links if of_source else node.links
        kind = "source" if of_source and need.kind == "strong" else need.kind
        needed_by = RECIPE_FETCH if of_source else need.needed_by
        use = DependencyUse.RUN if of_source else need.use
        for link in links:
            if link.target == target:
                link.needed_by = min(link.needed_by, needed_by)
                link.use = (
                    DependencyUse.RUN
                    if DependencyUse.RUN in {link.use, use}
                    else DependencyUse.BUILD
                )
                link.product = link.product or need.product
                return
        links.append(Link(target, needed_by, use, kind, need.product))

    def _breaks_local_rule(self, parent: str, child: str) -> bool:
        return child.startswith("local.") and not parent.startswith("local.")

    # -- checking the graph ----------------------------------------------------------------------

    def _judge(self) -> None:
        cycle = self.cycle()
        if cycle is not None:
            raise Refused("cycle", cycle)
        for key in sorted(self.graph):
            node = self.graph[key]
            phase = CHECK if RECIPE_FETCH in node.ran else RECIPE_FETCH
            for link in node.links + node.source_links:
                other = self.graph[link.target]
                lacks = link.product and other.fetched and link.product not in self._products(other)
                if (other.fetched and other.blueprint.excluded) or lacks:
                    node.failure = node.failure or Failure(phase)

    def cycle(self) -> list[str] | None:
        """Return the shortest cycle, starting at its least key; of several, the least."""
        graph = nx.DiGraph()
        graph.add_nodes_from(self.graph)
        for key, node in self.graph.items():
            graph.add_edges_from((key, link.target) for link in node.links + node.source_links)
        if nx.is_directed_acyclic_graph(graph):
            return None
        found: list[list[str]] = []
        for length in range(1, len(self.graph) + 1):
            found = list(nx.simple_cycles(graph, length_bound=length))
            if found:
                break
        rotated = []
        for cycle in found:
            least = cycle.index(min(cycle))
            rotated.append(cycle[least:] + cycle[:least])
        return min(rotated)

    def _products(self, node: Node) -> tuple[str, ...]:
        return node.blueprint.products if node.fetched else ()

    # -- rounds ----------------------------------------------------------------------------------

    def _open(self, keys) -> list[Wish]:
        found = [wish for key in keys for wish in self.graph[key].wishes if wish.is_open]
        return sorted(found, key=lambda wish: (wish.owner, wish.of_source, wish.position))

    def _round(self, wishes: list[Wish]) -> bool:
        missing = any(
            node.failure is not None and not self._is_whole(node) for node in self.graph.values()
        )
        found: list[tuple[Wish, str]] = []
        falling: list[Wish] = []
        ambiguous = set()
        undecided = []
        for wish in wishes:
            if missing and not self._is_exact(wish):
                undecided.append(wish)
                continue
            matches = self._matches(wish)
            if len(matches) == 1:
                found.append((wish, matches.pop()))
            elif matches:
                ambiguous.add((wish.owner, wish.quoted, tuple(sorted(matches))))
            elif wish.need.target and wish.need.fallback_here:
                falling.append(wish)
        for wish in undecided:
            wish.undecided = True
            self._fail_owner(wish)
        if ambiguous:
            raise Refused("ambiguous", ambiguous)
        for wish, provider in found:
            self._bind(wish, provider, by_fallback=False)
        for wish in sorted(
            falling, key=lambda w: (w.need.target, w.owner, w.of_source, w.position)
        ):
            self._instantiate(wish.need.target)
            self._bind(wish, wish.need.target, by_fallback=True)
        return bool(undecided or found or falling)

    def _is_whole(self, node: Node) -> bool:
        """Return whether the declarations of a failed recipe are known nevertheless."""
        assert node.failure is not None
        return node.failure.phase is not RECIPE_FETCH

    def _fail_owner(self, wish: Wish) -> None:
        node = self.graph[wish.owner]
        node.failure = node.failure or Failure(RECIPE_FETCH if wish.of_source else CHECK)

    def _bind(self, wish: Wish, provider: str, *, by_fallback: bool) -> None:
        if self._breaks_local_rule(wish.owner, provider):
            wish.undecided = True
            self._fail_owner(wish)
            return
        wish.provider = provider
        wish.by_fallback = by_fallback
        self._link(self.graph[wish.owner], wish.need, provider, of_source=wish.of_source)

    def _is_exact(self, wish: Wish) -> bool:
        need = wish.need
        return not need.product and (need.query in self.world.aliases or need.query in self.graph)

    def _matches(self, wish: Wish) -> set[str]:
        need = wish.need
        found = self._named(need.query) if need.query else {*self.graph}
        if need.product:
            found = {key for key in found if need.product in self._products(self.graph[key])}
            found = {key for key in found if not self._known_excluded(key)}
        return found - {wish.owner}

    def _named(self, query: str) -> set[str]:
        if query in self.world.aliases:
            return {self.world.aliases[query]}
        found = set()
        for key, node in self.graph.items():
            if self._known_excluded(key):
                continue
            texts = node.blueprint.texts
            if not node.fetched and node.blueprint.alias:
                texts = texts - {node.blueprint.alias}
            if query in texts:
                found.add(key)
        return {query} if query in found else found

    def _known_excluded(self, key: str) -> bool:
        node = self.graph[key]
        return node.fetched and node.blueprint.excluded

    # -- custom sources --------------------------------------------------------------------------

    def _closure(self, keys) -> set[str]:
        found: set[str] = set()
        pending = list(keys)
        while pending:
            key = pending.pop()
            if key not in found:
                found.add(key)
                node = self.graph[key]
                pending += [link.target for link in node.links + node.source_links]
        return found

    def _run_custom_fetches(self) -> None:
        for node in self.graph.values():
            node.held = node.held and node.failure is None
        held = sorted(key for key, node in self.graph.items() if node.held)
        ready = [key for key in held if self._is_ready(key)]
        if not held:
            return
        if not ready:
            raise Refused("missing", None)
        for key in ready:
            self.graph[key].held = False
        tools = {key: [link.target for link in self.graph[key].source_links] for key in ready}
        self._compute_keys(tool for key in ready for tool in tools[key])
        waiting = [key for key in ready if not self._is_source_fetched(key, tools[key])]
        self._bring([tool for key in waiting for tool in tools[key]])
        for key in ready:
            node = self.graph[key]
            if key not in waiting or not self._abort(node, RECIPE_FETCH, tools[key]):
                self._fetch(node)

    def _is_source_fetched(self, key: str, tools: list[str]) -> bool:
        known = all(self.graph[tool].has_key for tool in tools)
        return known and self.graph[key].blueprint.brought

    def _is_ready(self, key: str) -> bool:
        node = self.graph[key]
        if any(wish.is_open for wish in node.wishes):
            return False
        below = self._closure(link.target for link in node.source_links)
        return not any(self.graph[one].held or self._open([one]) for one in below)

    # -- demand and phases -----------------------------------------------------------------------

    def _bring(self, goals: list[str]) -> None:
        self._compute_keys(goals)
        self._want(goals)
        for key in sorted(self.graph):
            if self.graph[key].wanted:
                self._finish(key)

    def _compute_keys(self, goals, seen: set[str] | None = None) -> None:
        seen = set() if seen is None else seen
        for goal in goals:
            if goal in seen:
                continue
            seen.add(goal)
            node = self.graph[goal]
            dependencies = [link.target for link in node.links]
            self._compute_keys(dependencies, seen)
            if node.has_key or node.failure or self._abort(node, CHECK, dependencies):
                continue
            if node.blueprint.keyless:
                node.failure = Failure(CHECK)
                continue
            node.has_key = True
            node.cached = node.blueprint.cached

    def _abort(self, node: Node, phase: RecipePhase, dependencies: list[str]) -> bool:
        for dependency in dependencies:
            failure = self.graph[dependency].failure
            if failure is not None:
                node.failure = Failure(phase, dependency, failure.root or dependency)
                return True
        return False

    def _want(self, keys) -> None:
        for key in keys:
            node = self.graph[key]
            if not node.wanted:
                node.wanted = True
                self._want(link.target for link in node.links if self._at_once(node, link))

    def _at_once(self, node: Node, link: Link) -> bool:
        """Return whether a dependency is wanted before the result of the check is known."""
        if link.use is DependencyUse.RUN:
            return True
        if node.fetched and node.blueprint.user_managed:
            return link.needed_by <= CHECK
        return not node.cached

    def _finish(self, key: str) -> None:
        """Run the phases of a wanted recipe, after those of its dependencies."""
        node = self.graph[key]
        if node.failure is not None or node.outcome:
            return
        gates = self._gates(node)
        for phase in (phase for phase in RecipePhase if phase >= CHECK):
            for dependency in gates[phase]:
                self._finish(dependency)
            if self._abort(node, phase, gates[phase]):
                return
            if self._skips(node, phase):
                continue
            node.ran.append(phase)
            if node.blueprint.fails_in is phase:
                node.failure = Failure(phase)
                return
            if phase is CHECK:
                self._check(node, gates)
        node.outcome = self._outcome(node)

    def _outcome(self, node: Node) -> str:
        if node.blueprint.user_managed:
            return "satisfied" if node.blueprint.satisfied else "changed"
        return "cached" if node.cached else "installed"

    def _gates(self, node: Node) -> dict[RecipePhase, list[str]]:
        gates: dict[RecipePhase, list[str]] = {phase: [] for phase in RecipePhase}
        for link in node.links:
            if self._at_once(node, link):
                gates[COMPLETION if node.cached else link.needed_by].append(link.target)
        return gates

    def _skips(self, node: Node, phase: RecipePhase) -> bool:
        blueprint = node.blueprint
        if node.cached:
            return CHECK < phase < COMPLETION
        if blueprint.user_managed:
            lazy = blueprint.satisfied and phase in {RecipePhase.INSTALL, RecipePhase.DEPLOY}
            return lazy or FETCH <= phase <= RecipePhase.BUILD
        return False

    def _check(self, node: Node, gates: dict[RecipePhase, list[str]]) -> None:
        """Want the build dependencies of a recipe that turned out to need work."""
        blueprint = node.blueprint
        if blueprint.user_managed and not blueprint.satisfied:
            late = [link for link in node.links if not self._at_once(node, link)]
        elif node.cached and blueprint.gone:
            late = list(node.links)
            node.cached = False
        else:
            return
        self._want(link.target for link in late)
        for link in late:
            gates[max(link.needed_by, FETCH)].append(link.target)
