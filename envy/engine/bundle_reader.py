"""Recipe bundles that a command reads for itself, beside the packages of its graph."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from envy.declarations.bundles import ASKER, Bundle
from envy.declarations.key import RecipeKey
from envy.declarations.spec import RecipeSpec
from envy.errors import InternalError
from envy.execution.bundles import open_bundle
from envy.graph.recipe import Recipe
from envy.interpreter import released

if TYPE_CHECKING:
    from envy.engine.engine import Engine
    from envy.execution.open_bundle import OpenBundle
    from envy.execution.services import Services
    from envy.graph.recipe_graph import RecipeGraph
    from envy.host.shell import Shell


def asker(bundle: Bundle) -> Recipe:
    """Return a recipe that is in no graph, for what is asked about a bundle."""
    spec = RecipeSpec(identity=ASKER, source=bundle.item, origin=bundle.origin)
    return Recipe(key=spec.key, spec=spec)


def read_bundle(bundle: Bundle, engine: Engine) -> OpenBundle:
    """Return a bundle of the manifest, which is fetched if it is not in the cache.

    Raises:
        EnvyError: it cannot be fetched, or its map is not valid.
    """
    return open_bundle(bundle, asker(bundle), _Outside(engine))


@dataclass(frozen=True, slots=True)
class _Outside:
    """The operations of phases, for the thread of a command: it has no slot to give away."""

    engine: Engine

    @property
    def services(self) -> Services:
        return self.engine.services

    @services.setter
    def services(self, _value: Services) -> None:
        raise InternalError("the services of a command do not change")

    @property
    def graph(self) -> RecipeGraph:
        return self.engine.graph

    @graph.setter
    def graph(self, _value: RecipeGraph) -> None:
        raise InternalError("the graph of a command does not change")

    def declare_recipe(self, spec: RecipeSpec, *, parent: RecipeKey) -> None:
        raise InternalError(f"{parent} declares {spec.key} outside of its worker")

    def stopped(self) -> bool:
        return self.engine.stopped()

    def pause(self, seconds: float) -> None:
        self.engine.pause(seconds)

    def wait_without_slot(
        self, _recipe: Recipe, _waiting_for: str, wait: Callable[[], None]
    ) -> None:
        with released():
            wait()

    @contextlib.contextmanager
    def transfer_helpers(self, _wanted: int) -> Iterator[int]:
        yield 0

    def take_late(self, _recipe: Recipe) -> bool:
        return False

    def require_build_dependencies(self, recipe: Recipe) -> None:
        raise InternalError(f"{recipe.key} has no build dependencies")

    def shell_for(self, recipe: Recipe) -> Shell:
        return self.engine.shell_for(recipe)

    def awaited_by(self, _recipe: Recipe) -> list[RecipeKey]:
        return []

    def unsatisfied(self) -> list[str]:
        return []
