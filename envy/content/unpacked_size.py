"""The size of what archives unpack to, counted while it is written.

Owns the bound on disk space: a compressed file of a few kilobytes can hold gigabytes.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import IO

from envy.errors import ArchiveError
from envy.limits import UNPACKED_SIZE, Limit

_CHUNK = 1 << 20


def pieces_of(stream: IO[bytes]) -> Iterator[bytes]:
    """Yield the rest of a stream in pieces of at most a mebibyte."""
    while data := stream.read(_CHUNK):
        yield data


class UnpackedTooLarge(ArchiveError):
    """An archive unpacks to more than a limit allows."""


class UnpackedSize:
    """The number of bytes that archives have unpacked to so far, together, and its limit."""

    __slots__ = ("limit", "size")

    def __init__(self, limit: Limit = UNPACKED_SIZE) -> None:
        self.limit = limit
        self.size = 0

    def copy(self, source: IO[bytes], target: IO[bytes], archive: Path) -> None:
        """Copy the rest of a stream; nothing beyond the limit is written.

        Raises:
            UnpackedTooLarge: the limit is reached.
        """
        for data in pieces_of(source):
            self.add(len(data), archive)
            target.write(data)

    def add(self, size: int, archive: Path) -> None:
        """Count bytes of an archive that are about to be written; raises as `copy`."""
        self.size += size
        if self.size > self.limit.value:
            raise UnpackedTooLarge(
                f"{archive} cannot be unpacked: {self.limit.what} would exceed "
                f"{self.limit.shown}, the limit {self.limit.name}",
                archive=archive,
                hint=self.limit.hint,
            )
