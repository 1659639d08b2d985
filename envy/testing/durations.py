"""Durations as Go writes them: `1m30s`, `250ms`, `1.5h`."""

from __future__ import annotations

from envy.declarations.durations import EXAMPLES, seconds_of
from envy.errors import UsageError


def parse_duration(text: str, *, option: str) -> float:
    """Return the seconds that a text means; 0 needs no unit.

    Raises:
        UsageError: The text is not a valid duration.
    """
    seconds = seconds_of(text)
    if seconds is None:
        raise UsageError(f"{option}: {text!r} is not a valid duration", hint=EXAMPLES)
    return seconds


def go_duration(seconds: float) -> str:
    """Return a duration as Go's tools write it: `2s`, `1m30s`, `250ms`."""
    if 0 < seconds < 1:
        return f"{seconds * 1000:.4g}ms"
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(int(minutes), 60)
    text = f"{hours}h" if hours else ""
    text += f"{minutes}m" if minutes or hours else ""
    return text + f"{rest:.4g}s"
