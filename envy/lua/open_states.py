"""How many Lua states may stay open between the phases of their recipes.

A state is some 70 kB. Those of so many recipes are kept open; beyond that a state is closed
when its recipe is loaded, and made again when the recipe's turn to work comes. Counted, not timed:
which recipes they are follows from the order in which they were loaded, and changes no outcome.
"""

import threading

MOST_OPEN = 2000


class LuaRoom:
    """Room for a number of states; one for a whole run."""

    __slots__ = ("_lock", "_open", "_size", "made_again")

    def __init__(self, size: int = MOST_OPEN) -> None:
        self._size = size
        self._open = 0
        self._lock = threading.Lock()
        self.made_again = 0  # states that were closed for want of room, and made a second time

    def take(self) -> bool:
        """Whether one more state may stay open; it counts from now on, if so."""
        with self._lock:
            fits = self._open < self._size
            self._open += fits
            return fits

    def exceed(self) -> None:
        """Count a state whose recipe works now, and has to have it."""
        with self._lock:
            self._open += 1
            self.made_again += 1

    @property
    def is_exceeded(self) -> bool:
        """Whether more are open than there is room for, so that who rests should close its own."""
        return self._open > self._size

    def give_back(self) -> None:
        """A state was closed."""
        with self._lock:
            self._open -= 1
