"""Fakes for the unit tests of the engine's satellites: a scheduler that only records calls."""

from __future__ import annotations

from pathlib import Path

from small_graphs import key_of, load, names_of, spec_of

from envy.cache.layout import CacheLayout
from envy.engine.recipe_coordination import RecipeCoordination
from envy.errors import DependencyFailed, PhaseFailed
from envy.graph.recipe import Placement
from envy.host.platform import Platform
from envy.phase import RecipePhase

LINUX = Platform(os="linux", arch="x86_64")
ELSEWHERE = ("windows",)
CACHE = CacheLayout(Path("/dev/null/cache"))  # a path where nothing can be written


class PlainKind:
    """A kind of node whose failures contain only the phase and the reason."""

    last_phase = int(RecipePhase.COMPLETION)

    def failed(self, node, phase, error):
        return PhaseFailed(key=node.name, phase=RecipePhase(phase).label, cause=error)

    def aborted(self, node, phase, dependency):
        return DependencyFailed(
            key=node.name,
            phase=RecipePhase(phase).label,
            dependency=dependency.name,
            root=getattr(dependency.failure, "root", dependency.failure),
        )


class NotingCoordinator:
    """A coordinator that runs nothing: it records gates, targets and failures, by short names."""

    def __init__(self):
        self.gates = []  # (recipe, phase, dependencies)
        self.targets = []  # (phase, recipes)
        self.idle_waits = 0
        self.cancelled = None

    def add(self, node):
        pass

    def add_gate(self, node, phase, dependencies):
        self.gates.append((short(node), phase, [short(one) for one in dependencies]))

    def raise_targets(self, nodes, phase):
        self.targets.append((phase, [short(node) for node in nodes]))

    def fail(self, node, error):
        node.failure = error

    def wait_until_idle(self):
        self.idle_waits += 1

    def cancel(self, reason):
        self.cancelled = reason


def short(node):
    """Return the short name of a node's recipe."""
    return node.subject.key.name


def coordinated(graph, *, coordinator=None):
    """Return the coordination of a graph whose recipes are all fetched."""
    coordination = RecipeCoordination(coordinator or NotingCoordinator(), PlainKind())
    for recipe in graph.recipes.values():
        coordination.add(recipe)
        coordination[recipe.key].current_phase = RecipePhase.RECIPE_FETCH
    return coordination


class LoadingMaker:
    """A maker whose recipes are fetched at once."""

    def __init__(self, graph, coordination):
        self.held = {}
        self.declared = []
        self._graph = graph
        self._coordination = coordination

    def declare(self, spec, *, parent):
        self.declared.append((spec.key.name, parent.name))
        recipe = self._graph.find_exact(spec.key)
        if recipe is None:
            recipe = self._graph.add(spec)
            self._coordination.add(recipe)
            self._coordination[spec.key].current_phase = RecipePhase.RECIPE_FETCH
            load(self._graph, spec.key.canonical)
        return recipe


def hold(graph, coordination, maker, name):
    """Add a recipe with a custom source that has not been run."""
    recipe = maker.held[key_of(name)] = graph.add(spec_of(name, source_needs=()))
    coordination.add(recipe)
    return recipe


def place(graph, name, *, entry_key="", cached=False):
    """Give a recipe an entry of the cache; the key is its name unless given."""
    recipe = graph.recipes[key_of(name)]
    entry = CACHE.entry(recipe.key.identity, "linux", "0" * 64)
    recipe.placement = Placement(
        entry_key=entry_key or name, entry=entry, asset_dir=entry.asset_dir
    )
    recipe.work.cached = cached
    return recipe


def wanted_names(demand):
    """Return the short names of the wanted recipes."""
    return names_of(demand.wanted())
