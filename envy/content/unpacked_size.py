"""The size of what archives unpack to, and the number of its files, counted while it is written.

Owns the bounds on disk space: a compressed file of a few kilobytes can hold gigabytes, and one of a
few megabytes as many empty files as a file system can have.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import IO

from envy.errors import ArchiveError
from envy.limits import UNPACKED_FILES, UNPACKED_SIZE, Limit

_CHUNK = 1 << 20


def pieces_of(stream: IO[bytes]) -> Iterator[bytes]:
    """Yield the rest of a stream in pieces of at most a mebibyte."""
    while data := stream.read(_CHUNK):
        yield data


class UnpackedTooLarge(ArchiveError):
    """An archive unpacks to more than a limit allows."""


class UnpackedSize:
    """What archives have unpacked to so far, together: bytes, with their limit, and files.

    `files` are also folders and links, and several of one name if they replace one another.
    """

    __slots__ = ("files", "limit", "size")

    def __init__(self, limit: Limit = UNPACKED_SIZE) -> None:
        self.limit = limit
        self.size = 0
        self.files = 0

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
            raise _too_large(archive, self.limit)

    def add_files(self, archive: Path, count: int = 1) -> None:
        """Count files and links of an archive that are about to be made; raises as `copy`.

        `BelowRoot` counts the folders that it makes.
        """
        self.files += count
        if self.files > UNPACKED_FILES.value:
            raise _too_large(archive, UNPACKED_FILES)


def _too_large(archive: Path, limit: Limit) -> UnpackedTooLarge:
    return UnpackedTooLarge(
        f"{archive} cannot be unpacked: {limit.what} would exceed {limit.shown}, the limit "
        f"{limit.name}",
        archive=archive,
        hint=limit.hint,
    )
