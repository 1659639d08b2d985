"""Durations as Go writes them: `1m30s`, `250ms`, `1.5h`."""

import re

_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)")
EXAMPLES = "such as 30s, 2m, 1h30m or 250ms"


def seconds_of(text: str) -> float | None:
    """Return the seconds that a text means, or None if it is no duration; 0 needs no unit."""
    word = text.strip()
    if word in {"0", "+0"}:
        return 0.0
    parts = list(_PART.finditer(word.removeprefix("+")))
    if not parts or "".join(part.group() for part in parts) != word.removeprefix("+"):
        return None
    return sum(float(part[1]) * _UNITS[part[2]] for part in parts)
