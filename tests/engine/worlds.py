"""Random worlds: recipes that depend on each other in every way envy knows, as plain data.

A world says what each recipe's file would say and what would go wrong with it; nothing here knows
how the engine works. `model.py` works out by hand what has to come of a world, `in_memory.py` lets
the real engine loose on it.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from envy.declarations.spec import DependencyUse
from envy.phase import RecipePhase

NEEDED_BY = tuple(phase for phase in RecipePhase if phase >= RecipePhase.CHECK)


@dataclass(frozen=True)
class Need:
    """One entry of `dependencies`: strong (target), weak (target and something to look for), or
    required (only that)."""

    kind: str
    target: str = ""
    query: str = ""
    product: str = ""
    needed_by: RecipePhase = RecipePhase.CHECK
    use: DependencyUse = DependencyUse.RUN
    here: bool = True  # False: its `platforms` leave it out
    fallback_here: bool = True  # the same for the fallback of a weak entry


@dataclass(frozen=True)
class Blueprint:
    """One recipe, by its canonical key."""

    key: str
    needs: tuple[Need, ...] = ()
    source: tuple[Need, ...] | None = None  # dependencies of a custom source; None: a plain one
    brought: bool = False  # the cache has the result of the custom source
    alias: str = ""
    products: tuple[str, ...] = ()
    excluded: bool = False
    user_managed: bool = False
    satisfied: bool = False  # its check holds
    cached: bool = False
    gone: bool = False  # its entry vanishes between look-up and check
    keyless: bool = False  # its entry key cannot be computed
    fails_in: RecipePhase | None = None
    fails_late: bool = False  # recipe_fetch fails when the file has been read already

    @property
    def identity(self) -> str:
        return self.key.partition("{")[0]

    @property
    def namespace(self) -> str:
        return self.key.partition(".")[0]

    @property
    def name(self) -> str:
        return self.identity.partition(".")[2].partition("@")[0]

    @property
    def texts(self) -> set[str]:
        """Return every text that is a query for this recipe."""
        revision = self.identity.partition("@")[2]
        whole = f"{self.namespace}.{self.name}"
        names = {self.name, whole, f"{self.name}@{revision}", self.identity, self.key}
        return names | ({self.alias} if self.alias else set())


@dataclass(frozen=True)
class World:
    recipes: dict[str, Blueprint]
    roots: tuple[str, ...]
    aliases: dict[str, str] = field(default_factory=dict)
    goals: tuple[str, ...] | None = None  # None: all roots


@dataclass(frozen=True)
class Shape:
    """The kind of worlds to draw."""

    least: int = 1
    most: int = 16
    on_disk: bool = False  # only worlds that can be tested with the real command


class Choices:
    """A source of randomness: a function that draws an integer in an inclusive range."""

    def __init__(self, integer: Callable[[int, int], int]) -> None:
        self.integer = integer

    def chance(self, percent: int) -> bool:
        # hypothesis shrinks towards zero, so zero must mean that nothing special happens.
        return self.integer(0, 99) >= 100 - percent

    def one_of(self, values):
        return values[self.integer(0, len(values) - 1)]


class Generator:
    """Draws one world."""

    shape_of_small = 16

    def __init__(self, choices: Choices, shape: Shape) -> None:
        self.choices = choices
        self.shape = shape
        self.cyclic = choices.chance(25)
        self.failing = choices.chance(40)
        self.mixed = choices.chance(10)  # namespaces
        self.sources = choices.chance(50)
        self.references = choices.integer(0, 60)  # percent of dependencies
        self.keys: list[str] = []
        self.roots: list[int] = []

    def rarely(self, percent: int) -> bool:
        """Return a smaller chance for more recipes: one failure can end the whole graph."""
        if len(self.keys) <= self.shape_of_small:
            return self.choices.chance(percent)
        return self.choices.integer(0, 99 * len(self.keys)) >= (
            99 * len(self.keys) - percent * self.shape_of_small
        )

    def world(self) -> World:
        choices = self.choices
        count = choices.integer(self.shape.least, self.shape.most)
        self.keys = self._keys(count)
        wanted = choices.integer(1, min(5, count))
        self.roots = sorted({0, *(choices.integer(0, count - 1) for _ in range(wanted - 1))})
        blueprints = [self._blueprint(position) for position in range(count)]
        for position in range(1, count):
            if position not in self.roots and choices.chance(70):
                self._give_parent(blueprints, position)
        if self.cyclic:
            for _ in range(choices.integer(1, 2)):
                self._plant_cycle(blueprints)
        if self.shape.on_disk:
            blueprints = _on_disk(blueprints)
        recipes = {one.key: one for one in blueprints}
        roots = tuple(self.keys[position] for position in self.roots)
        if self.shape.on_disk:
            # Each place that declares a custom source declares another one.
            roots += tuple(k for k in self.keys if recipes[k].source is not None and k not in roots)
        aliases = {f"m{i}": root for i, root in enumerate(roots) if choices.chance(20)}
        goals = None
        if choices.chance(15):
            goals = (choices.one_of(roots),)
            goals = goals if not recipes[goals[0]].excluded else None
        return World(recipes, roots, aliases, goals)

    def _keys(self, count: int) -> list[str]:
        choices = self.choices
        keys: list[str] = []
        for position in range(count):
            key = f"local.n{position:03d}@r1"
            if keys and choices.chance(8 if count < 40 else 2):
                other = choices.one_of(keys).partition("{")[0]
                like = choices.integer(0, 1)
                key = [
                    f'{other}{{v="{position}"}}',
                    f"{other.partition('@')[0]}@r{position + 2}",
                ][like]
            if self.mixed and choices.chance(30) and not self.shape.on_disk:
                key = f"lib.{key.partition('.')[2]}"
            keys.append(key if key not in keys else f"local.n{position:03d}@r1")
        return keys

    def _blueprint(self, position: int) -> Blueprint:
        choices = self.choices
        user_managed = choices.chance(12)
        cached = choices.chance(20) and not user_managed and not self.shape.on_disk
        needs = tuple(self._need(position) for _ in range(self._fan_out(position)))
        source = None
        if self.sources and choices.chance(18):
            source = tuple(
                replace(
                    self._need(position), needed_by=RecipePhase.RECIPE_FETCH, use=DependencyUse.RUN
                )
                for _ in range(choices.integer(0, 2))
            )
        blueprint = Blueprint(
            self.keys[position],
            needs=needs,
            source=source,
            brought=source is not None and choices.chance(25) and not self.shape.on_disk,
            alias=f"a{choices.integer(0, 3)}" if self.rarely(8) else "",
            products=tuple(f"p{i}" for i in range(4) if self.rarely(6)),
            excluded=self.rarely(4),
            user_managed=user_managed,
            satisfied=user_managed and choices.chance(50),
            cached=cached,
            gone=cached and choices.chance(15),
        )
        if user_managed and self.shape.on_disk:
            blueprint = replace(blueprint, products=())
        return self._with_failure(blueprint) if self.failing else blueprint

    def _with_failure(self, blueprint: Blueprint) -> Blueprint:
        choices = self.choices
        if not self.rarely(15):
            return blueprint
        if self.shape.on_disk:
            phases = [RecipePhase.RECIPE_FETCH, RecipePhase.INSTALL, RecipePhase.DEPLOY]
            if not blueprint.user_managed:
                phases += [RecipePhase.STAGE, RecipePhase.BUILD, RecipePhase.FETCH]
            return replace(blueprint, fails_in=choices.one_of(phases))
        if choices.chance(10):
            return replace(blueprint, keyless=True)
        if choices.chance(30):
            return replace(
                blueprint, fails_in=RecipePhase.RECIPE_FETCH, fails_late=choices.chance(40)
            )
        return replace(blueprint, fails_in=choices.one_of(NEEDED_BY))

    def _fan_out(self, position: int) -> int:
        if position == len(self.keys) - 1:
            return 0
        return self.choices.integer(0, 3 if len(self.keys) < 40 else 2)

    def _need(self, position: int, *, target: int | None = None) -> Need:
        choices = self.choices
        if target is None:
            below = min(position + 1, len(self.keys) - 1)
            target = choices.integer(below, min(len(self.keys) - 1, below + 12))
        key = self.keys[target]
        needed_by = RecipePhase.CHECK if choices.chance(40) else choices.one_of(NEEDED_BY)
        use = DependencyUse.BUILD if choices.chance(30) else DependencyUse.RUN
        here = not choices.chance(3)
        if not choices.chance(self.references) or key == self.keys[position]:
            product = f"p{choices.integer(0, 3)}" if self.rarely(2) else ""
            return Need("strong", key, "", product, needed_by, use, here)
        query, product = self._looked_for(key)
        if choices.chance(70):
            fallback = key
            if choices.chance(40):
                fallback = choices.one_of(self.keys[position + 1 :] or self.keys)
            return Need("weak", fallback, query, product, needed_by, use, here, not self.rarely(5))
        roots = [root for root in self.roots if root > position]
        if roots and not self.rarely(15):  # most references should find a match
            query, product = self._looked_for(self.keys[choices.one_of(roots)], plain=True)
        elif not self.rarely(40):
            return Need("strong", key, "", "", needed_by, use, here)
        return Need("required", "", query, product, needed_by, use, here)

    def _looked_for(self, key: str, *, plain: bool = False) -> tuple[str, str]:
        choices = self.choices
        product = f"p{choices.integer(0, 3)}" if not plain and self.rarely(8) else ""
        if product and choices.chance(60):
            return "", product
        if self.rarely(6):
            return choices.one_of(["a0", "a1", "m0", "m1"]), product
        forms = sorted(Blueprint(key).texts, key=lambda text: (len(text), text))
        return (choices.one_of(forms) if choices.chance(50) else forms[-1]), product

    def _give_parent(self, blueprints: list[Blueprint], position: int) -> None:
        """Let an earlier recipe need this one, so that it is in the graph."""
        parent = self.choices.integer(max(0, position - 12), position - 1)
        one = blueprints[parent]
        need = self._need(parent, target=position)
        if need.kind == "required":
            need = replace(need, kind="strong", target=self.keys[position], query="", product="")
        blueprints[parent] = replace(one, needs=(*one.needs, need))

    def _plant_cycle(self, blueprints: list[Blueprint]) -> None:
        """Add an edge of any kind that leads back to a recipe that needs this one."""
        choices = self.choices
        low = choices.integer(0, len(blueprints) - 1)
        high = choices.integer(0, low)
        one = blueprints[low]
        need = self._need(low, target=high)
        if one.source is not None and choices.chance(50):
            need = replace(need, needed_by=RecipePhase.RECIPE_FETCH, use=DependencyUse.RUN)
            blueprints[low] = replace(one, source=(*one.source, need))
        else:
            blueprints[low] = replace(one, needs=(*one.needs, need))


def _fails_on_disk(one: Blueprint, base: Blueprint) -> RecipePhase | None:
    if base.excluded and one.fails_in is RecipePhase.RECIPE_FETCH:
        return None  # its dependencies are not evaluated, and only they would fail
    return one.fails_in if not base.user_managed or one is base else None


def _on_disk(blueprints: list[Blueprint]) -> list[Blueprint]:
    """Return the most similar world that files can express.

    Option variants are one file. A custom source is declared in one place, the manifest, or it
    would be several; others find the recipe by a reference.
    """
    first: dict[str, Blueprint] = {}
    shared = []
    for one in blueprints:
        base = first.setdefault(one.identity, one)
        several = sum(other.identity == one.identity for other in blueprints) > 1
        shared.append(
            replace(
                base,
                key=one.key,
                needs=one.needs,
                source=None if several else one.source,
                fails_in=_fails_on_disk(one, base),
                satisfied=one.satisfied and base.user_managed,
            )
        )
    held = {one.key for one in shared if one.source is not None}

    def sayable(need: Need) -> Need:
        if need.target in held:
            need = replace(need, kind="required", target="", query=need.target, product="")
        if need.kind == "required" and "@" in need.query:
            # A whole identity would be a strong dependency, on the file of that name.
            need = replace(need, query=need.query.removeprefix("local."))
        return need

    def needs_of(needs: tuple[Need, ...]) -> tuple[Need, ...]:
        return tuple(sayable(need) for need in needs)

    return [
        replace(
            one,
            needs=needs_of(one.needs),
            source=None if one.source is None else needs_of(one.source),
        )
        for one in shared
    ]


def draw_world(integer: Callable[[int, int], int], shape: Shape | None = None) -> World:
    """Return a world, from a function that draws integers."""
    return Generator(Choices(integer), shape or Shape()).world()


def seeded_world(seed: int, shape: Shape | None = None) -> World:
    """Return the world of a seed."""
    return draw_world(random.Random(seed).randint, shape)
