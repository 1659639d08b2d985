"""The growth of the graph: recipes, edges, and the providers of references."""

from typing import ClassVar

from envy.events.base import Event, event
from envy.phase import RecipePhase


@event
class RecipeRegistered(Event):
    text: ClassVar[str] = "{key} registered"
    recipe: str
    key: str


@event
class DependencyAdded(Event):
    text: ClassVar[str] = "{parent} needs {dependency} ({kind}, by {needed_by})"
    parent: str
    dependency: str
    kind: str
    needed_by: RecipePhase


@event
class ReferenceResolved(Event):
    text: ClassVar[str] = "{recipe}: {query} ({kind}) is {provider}"
    recipe: str
    query: str
    kind: str
    provider: str
    by_fallback: bool
