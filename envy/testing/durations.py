"""Durations as Go writes them: `1m30s`, `250ms`, `1.5h`."""

from __future__ import annotations

import re

from envy.errors import UsageError

_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)")


def parse_duration(text: str, *, option: str) -> float:
    """Return the seconds that a text means; 0 needs no unit.

    Raises:
        UsageError: The text is not a valid duration.
    """
    word = text.strip()
    if word in {"0", "+0"}:
        return 0.0
    parts = list(_PART.finditer(word.removeprefix("+")))
    if not parts or "".join(part.group() for part in parts) != word.removeprefix("+"):
        raise UsageError(
            f"{option}: {text!r} is not a valid duration", hint="such as 30s, 2m, 1h30m or 250ms"
        )
    return sum(float(part[1]) * _UNITS[part[2]] for part in parts)


def go_duration(seconds: float) -> str:
    """Return a duration as Go's tools write it: `2s`, `1m30s`, `250ms`."""
    if 0 < seconds < 1:
        return f"{seconds * 1000:.4g}ms"
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(int(minutes), 60)
    text = f"{hours}h" if hours else ""
    text += f"{minutes}m" if minutes or hours else ""
    return text + f"{rest:.4g}s"
