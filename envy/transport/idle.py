"""How long envy waits for a server that sends nothing, or almost nothing.

Owns the idle timeout, its variable and its words. Opens no connection.
"""

import time
from collections.abc import Callable, Mapping

from envy.errors import FetchError

VARIABLE = "ENVY_IDLE_TIMEOUT"
DEFAULT = 60.0
_LONGEST = 86_400.0
_LEAST = 100  # bytes a second; a server that sends less has stopped in effect


class TooSlow(TimeoutError):
    """A server has sent next to nothing within the idle timeout."""


def idle_seconds(environment: Mapping[str, str]) -> float:
    """Return the idle timeout of a run.

    Raises:
        FetchError: the variable does not have a number of seconds.
    """
    text = environment.get(VARIABLE, "").strip()
    if not text:
        return DEFAULT
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if 0 < seconds <= _LONGEST:
        return seconds
    raise FetchError(
        f"{VARIABLE} is {text!r}, which is not a number of seconds up to {_LONGEST:.0f}",
        uri=VARIABLE,
        hint=f"write {VARIABLE}={DEFAULT:.0f}",
    )


def silence(seconds: float) -> str:
    """Return what a message says about a server that sent nothing."""
    return f"sent nothing for {seconds:g} s, the idle timeout ({VARIABLE})"


class Pace:
    """Watches that a transfer does not all but stop; `now` returns seconds."""

    def __init__(self, seconds: float, now: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._now = now
        self._least = max(1, int(seconds * _LEAST))
        self._received = 0
        self._ends = now() + seconds

    def note(self, size: int) -> None:
        """Note that so many bytes have arrived.

        Raises:
            TooSlow: too few have arrived within the idle timeout.
        """
        self._received += size
        if self._received >= self._least:
            self._received = 0
            self._ends = self._now() + self._seconds
        elif self._now() > self._ends:
            raise TooSlow(
                f"sent {self._received} bytes in {self._seconds:g} s, the idle timeout ({VARIABLE})"
            )
