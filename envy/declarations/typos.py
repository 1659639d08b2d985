"""Globals that are probably misspelt fields: `instal` would otherwise be ignored in silence.

Owns how similar a name must be to a field. A global is not wrong by itself, so nothing here raises.
"""

from collections.abc import Callable, Collection, Iterator, Mapping

from envy.errors import SourceLocation

_CHANGES = 2  # the most letters that are added, removed or replaced; a swap is two
# Three of four letters in order: one replaced letter, or two swapped ones, in a word of four.
_SIMILARITY = 0.75


def misspelt(values: Mapping[str, object], known: Collection[str]) -> Iterator[tuple[str, str]]:
    """Yield each global that is not a field, with the field that its author probably meant."""
    unknown = sorted(name for name in values if name not in known)
    if not unknown:
        return
    # The author of a field that is present does not also mean it by another name.
    absent = sorted(field for field in known if field not in values)
    for name in unknown:
        # Two changes turn any short word into any other.
        most = min(_CHANGES, len(name) // 2)
        candidates = [field for field in absent if abs(len(field) - len(name)) <= most]
        if candidates:
            # Most files have only known globals, and difflib is not free to import.
            from difflib import get_close_matches

            for field in get_close_matches(name, candidates, n=1, cutoff=_SIMILARITY):
                if _changes(name, field) <= most:
                    yield name, field


def typo_warnings(
    values: Mapping[str, object], known: Collection[str], at: Callable[[str], SourceLocation]
) -> tuple[str, ...]:
    """Return a warning for each global that is probably a misspelt field."""
    return tuple(
        f"{at(name)}: envy does not use the global `{name}`; did you mean `{meant}`?"
        for name, meant in misspelt(values, known)
    )


def _changes(name: str, field: str) -> int:
    """Return how many letters are added, removed or replaced between two words."""
    from difflib import SequenceMatcher

    return sum(
        max(end - start, other_end - other_start)
        for tag, start, end, other_start, other_end in SequenceMatcher(
            None, name, field
        ).get_opcodes()
        if tag != "equal"
    )
