"""Selecting documentation tests: rustdoc divides every argument at its spaces.

So their names, which have spaces, cannot be given. Words that they consist of can.
"""

from __future__ import annotations

from collections.abc import Sequence


def doc_selection(names: Sequence[str], every: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return arguments that select these tests, and what they select, which may be more."""
    if len(names) == len(every):
        return [], list(every)
    wanted = set(names)
    others = [name for name in every if name not in wanted]
    filters = list(dict.fromkeys(_best_word(name, others) for name in names))
    skips: list[str] = []
    for other in others:
        is_skipped = any(word in other for word in skips)
        if not is_skipped and any(word in other for word in filters):
            words = [word for word in _words(other) if not any(word in name for name in names)]
            skips += words[:1]
    selected = [
        name
        for name in every
        if any(word in name for word in filters) and not any(word in name for word in skips)
    ]
    return [*filters, *(text for word in skips for text in ("--skip", word))], selected


def _best_word(name: str, others: Sequence[str]) -> str:
    """Return the word of a name that the fewest other names contain."""
    return min(_words(name), key=lambda word: (sum(word in other for other in others), -len(word)))


def _words(name: str) -> list[str]:
    return [word for word in name.split() if not word.startswith("-")] or [name]
