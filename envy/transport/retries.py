"""Which failed requests are repeated, and how long envy waits before it repeats one.

Opens no connection.
"""

import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime

from envy.transport.context import FetchContext
from envy.transport.turns import give_turn

LONGEST_WAIT = 15.0
_BUSY = frozenset({408, 425, 429})
_PERMANENT = frozenset({501, 505, 511})


class Retries:
    """The repeats that a request has left; each waits about twice as long as the one before."""

    def __init__(self, context: FetchContext) -> None:
        self._context = context
        self._used = 0

    def wait(self, after: float | None = None) -> bool:
        """Wait before the next attempt, `after` seconds if the server said so.

        Returns false, at once, if no attempt is left.

        Raises:
            Cancelled: the run was cancelled while waiting.
        """
        if self._used >= self._context.retries:
            return False
        seconds = after
        if seconds is None:
            seconds = self._context.backoff * 2**self._used * (1 - self._context.jitter() / 2)
        self._used += 1
        give_turn()
        self._context.pause(min(seconds, LONGEST_WAIT))
        self._context.check_cancelled()
        return True


def is_passing(status: int) -> bool:
    """Return whether a server that answers with this status may answer otherwise soon."""
    return status in _BUSY or (500 <= status < 600 and status not in _PERMANENT)


def seconds_of(retry_after: str, *, now: Callable[[], float] = time.time) -> float | None:
    """Return the seconds in a Retry-After header, a number or a date; None if it has neither."""
    text = retry_after.strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - now())
    except (ValueError, OverflowError, TypeError, IndexError):
        return None
