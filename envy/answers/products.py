"""The products of a project in a stored answer; warm commands load this module.

What is stored is what `run` and `product` need of them.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

# Flags of a stored product.
PROGRAM, FILE, OUTSIDE = "p", "f", "o"
_FIELDS = 5


class StoredProduct:
    """One name that packages provide; `positions` are those of the nearest packages.

    `program` is what `product` prints and `run` runs: `file` itself, or a shim that runs it. A flag
    tells whether it is a program, a file, or outside of the environment of programs.
    """

    __slots__ = ("file", "flag", "name", "positions", "program")

    def __init__(self, name: str, positions: str, program: str, file: str, flag: str) -> None:
        self.name = name
        self.positions = positions
        self.program = program
        self.file = file
        self.flag = flag

    def columns(self) -> list[str]:
        """Return the fields as texts, which `rows_of` reads."""
        return [self.name, self.positions, self.program, self.file, self.flag]

    def is_chosen(self) -> bool:
        """Return whether the name means one package, which is in the environment."""
        return self.positions.isdigit() and self.flag != OUTSIDE

    def is_intact(self) -> bool:
        """Return whether its file is there, and can be run if it is a program."""
        if self.flag != PROGRAM:
            return self.flag == OUTSIDE or os.path.exists(self.file)
        return os.access(self.file, os.X_OK) and os.access(self.program, os.X_OK)


def are_intact(texts: Sequence[str]) -> bool:
    """Return whether the files of all stored products are there, as a full run requires."""
    return all(product.is_intact() for product in rows_of(texts))


def rows_of(texts: Sequence[str]) -> Iterator[StoredProduct]:
    """Return what `StoredProduct.columns` wrote, for any number of products."""
    for start in range(0, len(texts), _FIELDS):
        yield StoredProduct(*texts[start : start + _FIELDS])
