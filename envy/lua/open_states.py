"""The limit on Lua states that stay open between the phases of their recipes.

A state takes some 70 kB. Up to the limit, states stay open; beyond it, a state is closed once its
recipe is loaded, and created again when the recipe has work to do. The limit is a count, not a
time: which states stay open depends on the order in which recipes load, and changes no result.
"""

import threading

MOST_OPEN = 2000


class OpenStates:
    """The number of open states and its limit, shared by a whole run."""

    __slots__ = ("_lock", "_open", "_size", "reopened")

    def __init__(self, size: int = MOST_OPEN) -> None:
        self._size = size
        self._open = 0
        self._lock = threading.Lock()
        self.reopened = 0  # states that were closed because of the limit and created a second time

    def try_add(self) -> bool:
        """Count one more state if it may stay open, and return whether it may."""
        with self._lock:
            fits = self._open < self._size
            self._open += fits
            return fits

    def add(self) -> None:
        """Count a state that its recipe needs and that was therefore created again."""
        with self._lock:
            self._open += 1
            self.reopened += 1

    @property
    def is_exceeded(self) -> bool:
        """Whether too many states are open, so that a recipe without work should close its own."""
        return self._open > self._size

    def remove(self) -> None:
        """Record that a counted state was closed."""
        with self._lock:
            self._open -= 1
