"""Globals that look like a field and are none: a misspelt `instal` would otherwise do nothing.

Owns how near is too near. A global is not wrong by itself, so this warns and never raises.
"""

from collections.abc import Collection, Iterator, Mapping

NEAR = 2


def misspelt(values: Mapping[str, object], known: Collection[str]) -> Iterator[tuple[str, str]]:
    """Each global that is no field and the field it was probably meant to be."""
    unknown = [name for name in values if name not in known]
    for name in sorted(unknown):
        # A field that is there is not also meant by something else.
        candidates = (field for field in known if field not in values)
        near = ((distance(name, field), field) for field in candidates if _may_be_near(name, field))
        best = min(near, default=(NEAR + 1, ""))
        # Two changes make any short word of any other.
        if best[0] <= NEAR and best[0] * 2 < len(name):
            yield name, best[1]


def _may_be_near(name: str, field: str) -> bool:
    """Cheap, and true for every pair that is near: most names share too few letters."""
    return abs(len(name) - len(field)) <= NEAR and len(set(name) ^ set(field)) <= 2 * NEAR


def distance(one: str, other: str) -> int:
    """How many letters must be added, dropped, replaced or swapped with a neighbour."""
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, letter in enumerate(one, start=1):
        oldest, before, row = before, row, [i]
        for j, wanted in enumerate(other, start=1):
            cost = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (letter != wanted))
            if i > 1 and j > 1 and letter == other[j - 2] and one[i - 2] == wanted:
                cost = min(cost, oldest[j - 2] + 1)
            row.append(cost)
    return row[-1]
