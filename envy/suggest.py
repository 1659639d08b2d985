"""Suggestions for a name that does not exist."""

from collections.abc import Iterable
from itertools import islice

# Comparing takes time that is quadratic in the length of names.
_LONGEST = 200
_MOST = 20_000


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name most similar to `name`, or None if none is similar."""
    # Imported only for an error message: difflib takes time to load.
    import difflib

    names = sorted(other for other in islice(known, _MOST) if len(other) <= _LONGEST)
    if len(name) > _LONGEST:
        return None
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    if close:
        return close[0]
    folded = name.casefold()
    return next((known_name for known_name in names if known_name.casefold() == folded), None)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return `did you mean "x"?`, or a list of all known names if none is similar."""
    names = sorted(known)
    close = nearest(name, names)
    if close is not None:
        return f'did you mean "{close}"?'
    return f"known names: {', '.join(names)}" if names else ""
