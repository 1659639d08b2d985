"""Parts of the tests for several machines: `--partition hash:M/N` and `duration:M/N`.

Guarantees
  A test belongs to exactly one part. Which one follows from its names, the number of parts, and the
  durations that are given, never from what a machine finds or remembers: machines that find other
  tests do not disagree about the rest.
  The known durations of two parts differ by no more than the longest of one test.
"""

from __future__ import annotations

import heapq
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from statistics import median

from blake3 import blake3

from envy.console.text import format_seconds
from envy.errors import UsageError
from envy.testing.known_times import KnownTimes, Place

_FORM = re.compile(r"(hash|duration):(\d{1,6})/(\d{1,6})")


@dataclass(frozen=True, slots=True)
class Partition:
    """Part `part` of `parts`; places that are not `assigned` have a part by their names."""

    part: int
    parts: int
    assigned: Mapping[Place, int] = field(default_factory=dict)
    times: KnownTimes | None = None  # None: durations do not count

    def holds(self, package: str, test: str) -> bool:
        """Return whether a test is in this part; "" is a package whose tests are not known."""
        return self._part_of((package, test)) == self.part

    def _part_of(self, place: Place) -> int:
        found = self.assigned.get(place)
        if found is not None:
            return found
        digest = blake3("\0".join(place).encode("utf-8", "surrogateescape")).digest(length=8)
        return int.from_bytes(digest, "big") % self.parts + 1

    def forecast(self, places: Iterable[Place]) -> str:
        """Return a line about how long this part of the selected tests probably takes."""
        if self.times is None:
            return ""
        known = self.times.seconds
        usual = median(known.values()) if known else 0.0
        own = whole = 0.0
        unknown = 0
        for place in places:
            seconds = known.get(place, usual)
            whole += seconds
            if self._part_of(place) == self.part:
                own += seconds
                unknown += place not in known
        line = f"part {self.part} of {self.parts}: about {format_seconds(own)} of "
        line += f"{format_seconds(whole)}, by durations {self.times.digest}"
        if unknown:
            are = "test is" if unknown == 1 else "tests are"
            line += f"; {unknown} {are} not among them"
        return line


def parse_partition(
    text: str,
    times: KnownTimes | None = None,
    wanted: Callable[[str, str], bool] | None = None,
) -> Partition:
    """Parse `hash:M/N` or `duration:M/N`; the latter needs durations, and divides those `wanted`.

    Raises:
        UsageError: The text is not a valid partition, or durations are missing or not used.
    """
    found = _FORM.fullmatch(text)
    if found is None or not 1 <= int(found[2]) <= int(found[3]):
        raise UsageError(
            f"--partition: {text!r} is not a valid partition",
            hint="such as hash:1/3, the first of three parts, or duration:1/3 with --durations",
        )
    part, parts = int(found[2]), int(found[3])
    if found[1] == "hash":
        if times is not None:
            raise UsageError("--durations has no effect with hash:M/N", hint="use duration:M/N")
        return Partition(part, parts)
    if times is None:
        raise UsageError(
            f"--partition {text} needs --durations FILE",
            hint="every part has to know the same durations: write a file with --save-durations",
        )
    seconds = times.seconds
    if wanted is not None:
        seconds = {place: length for place, length in seconds.items() if wanted(*place)}
    return Partition(part, parts, packed(seconds, parts), times)


def packed(seconds: Mapping[Place, float], parts: int) -> dict[Place, int]:
    """Assign each place to one of the parts, the longest first, always to the shortest part."""
    # Whole milliseconds add up to the same in any order; none of them are many tests, too.
    rows = sorted((-max(1, round(length * 1000)), place) for place, length in seconds.items())
    sums = [(0, part) for part in range(1, parts + 1)]
    found = {}
    for negative, place in rows:
        total, part = sums[0]
        heapq.heapreplace(sums, (total - negative, part))
        found[place] = part
    return found
