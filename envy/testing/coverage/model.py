"""What tests have covered, whatever measured it: packages, their files, and blocks of these.

A block is a part of a file that runs as a whole, with a weight (its statements) and a count (how
often it ran). A tool that counts lines gives a block of weight 1 for each line.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

Block = tuple[int, int, int, int]  # first line and column, last line and column; columns may be 0


@dataclass(slots=True)
class FileCoverage:
    """One file: the weight and the count of each block, and its functions by their first line."""

    blocks: dict[Block, tuple[int, int]] = field(default_factory=dict)
    functions: dict[int, str] = field(default_factory=dict)

    def add(self, block: Block, weight: int, count: int) -> None:
        """Count a block; what several tests cover is added up."""
        _, before = self.blocks.get(block, (weight, 0))
        self.blocks[block] = (weight, before + count)

    def lines(self) -> dict[int, int]:
        """Return how often each line ran, by its number; lines without code are missing."""
        found: dict[int, int] = {}
        for (first, _, last, _), (_weight, count) in sorted(self.blocks.items()):
            for line in range(first, last + 1):
                found[line] = max(count, found.get(line, 0))
        return found


@dataclass(slots=True, kw_only=True)
class PackageCoverage:
    """One package; `unit` is what the weights count: statements or lines."""

    name: str
    unit: str
    files: dict[str, FileCoverage] = field(default_factory=dict)  # by absolute or relative path


@runtime_checkable
class MeasuresCoverage(Protocol):
    """A driver that can say what its tests covered."""

    def covered(self) -> Sequence[PackageCoverage]:
        """Return what the tests of this session covered; asked once, when all have ended."""


@dataclass(frozen=True, slots=True)
class Share:
    """A part of a whole: covered weight and all weight."""

    covered: int = 0
    whole: int = 0

    @property
    def percent(self) -> float:
        """The part in per cent; all of nothing is 100."""
        return 100.0 * self.covered / self.whole if self.whole else 100.0

    def __str__(self) -> str:
        # 99.96 must not look like everything.
        percent = self.percent
        return f"{min(percent, 99.9) if self.covered < self.whole else percent:.1f}%"


def share_of(blocks: Iterable[tuple[int, int]]) -> Share:
    """Return the covered share of blocks, given as (weight, count)."""
    rows = list(blocks)
    return Share(sum(weight for weight, count in rows if count), sum(weight for weight, _ in rows))


def share_of_files(files: Iterable[FileCoverage]) -> Share:
    """Return the covered share of several files."""
    return share_of(row for file in files for row in file.blocks.values())


def merged_files(packages: Iterable[PackageCoverage]) -> dict[str, FileCoverage]:
    """Return all files, by path; one that several packages' tests cover is there once."""
    found: dict[str, FileCoverage] = {}
    for package in packages:
        add_files(found, package.files)
    return dict(sorted(found.items()))


def add_files(files: dict[str, FileCoverage], more: Mapping[str, FileCoverage]) -> None:
    """Add files to others."""
    for path, file in more.items():
        into = files.setdefault(path, FileCoverage())
        into.functions |= file.functions
        for block, (weight, count) in file.blocks.items():
            into.add(block, weight, count)


def merged(packages: Iterable[PackageCoverage]) -> list[PackageCoverage]:
    """Return packages with those of one name and unit as one, sorted by name."""
    found: dict[tuple[str, str], PackageCoverage] = {}
    for package in packages:
        key = (package.name, package.unit)
        into = found.setdefault(key, PackageCoverage(name=package.name, unit=package.unit))
        add_files(into.files, package.files)
    return [found[key] for key in sorted(found)]


def functions_of(file: FileCoverage) -> list[tuple[int, str, Share]]:
    """Return (line, name, share) for each function; blocks count for the function above them."""
    starts = sorted(file.functions)
    rows: dict[int, list[tuple[int, int]]] = {start: [] for start in starts}
    for (first, *_), row in file.blocks.items():
        above = [start for start in starts if start <= first]
        if above:
            rows[above[-1]].append(row)
    return [(start, file.functions[start], share_of(rows[start])) for start in starts]
