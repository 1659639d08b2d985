"""Guesses what somebody meant by a name that does not exist. Owns nothing else; never raises."""

from collections.abc import Iterable


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that looks most like `name`, or None when nothing comes near."""
    # Only errors get here, and difflib is not free to import.
    import difflib

    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    if close:
        return close[0]
    folded = name.casefold()
    return next((known_name for known_name in names if known_name.casefold() == folded), None)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`did you mean "x"?`, or, when nothing comes near, all that there is."""
    names = sorted(known)
    close = nearest(name, names)
    if close is not None:
        return f'did you mean "{close}"?'
    return f"known here: {', '.join(names)}" if names else ""
