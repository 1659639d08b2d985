"""Reading a tar as a stream, with bounds on what its headers may hold.

Owns what envy adds to `tarfile`: a damaged header is an error and not the end, a stream need not be
seekable, and no header makes it read or keep more than its limit.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast

from envy.errors import ArchiveError
from envy.limits import ARCHIVE_HEADER

if TYPE_CHECKING:
    import tarfile

_CHUNK = 1 << 20


class _Forward:
    """Makes a stream look seekable to tarfile.

    It seeks forward by reading, and back by the one byte that tarfile reads again to check that a
    member was complete; a decompressor might start over for that. (The streaming mode of tarfile
    copies its whole buffer for every header.)

    From `begin_header` to `end_header`, it counts what is read, but not what is passed by: all of
    it is kept in memory by tarfile, as names, extended headers and maps of sparse files.
    """

    def __init__(self, stream: IO[bytes], archive: Path) -> None:
        self._stream = stream
        self._archive = archive
        self._at = 0
        self._last = b""
        self._is_back = False
        self._left: int | None = None

    def begin_header(self) -> None:
        self._left = ARCHIVE_HEADER.value

    def end_header(self) -> None:
        self._left = None

    def tell(self) -> int:
        return self._at - self._is_back

    def seek(self, to: int) -> int:
        self._is_back = to == self._at - 1
        while self._at < to:
            if not self._read(min(to - self._at, _CHUNK)):
                break
        if to < self.tell():
            raise EOFError("an entry overlaps one before it")
        return self.tell()

    def read(self, size: int) -> bytes:
        if self._left is not None:
            self._left -= size
            if self._left < 0:
                raise ArchiveError(
                    f"{self._archive}: an entry has names and headers of more than "
                    f"{ARCHIVE_HEADER.shown}, the limit {ARCHIVE_HEADER.name}",
                    archive=self._archive,
                    hint=ARCHIVE_HEADER.hint,
                )
        if self._is_back:
            self._is_back = False
            return self._last + self._read(size - 1)
        return self._read(size)

    def _read(self, size: int) -> bytes:
        data = self._stream.read(size) if size else b""
        self._at += len(data)
        self._last = data[-1:] or self._last
        return data


def members_of(
    archive: Path, stream: IO[bytes]
) -> Iterator[tuple["tarfile.TarInfo", IO[bytes] | None]]:
    """Yield the members of a tar in order; files with their content.

    Raises:
        ArchiveError: a header is larger than its limit; others are those of tarfile.
    """
    import tarfile

    class StrictHeader(tarfile.TarInfo):
        """Distinguishes a damaged header from the end of the archive, which TarFile does not."""

        @classmethod
        def fromtarfile(cls, tar: "tarfile.TarFile") -> "StrictHeader":
            try:
                return super().fromtarfile(tar)
            except (
                tarfile.InvalidHeaderError,  # type: ignore[attr-defined]
                tarfile.TruncatedHeaderError,  # type: ignore[attr-defined]
            ) as error:
                raise tarfile.ReadError(str(error)) from error
            except RecursionError as error:  # each header of a member is read within the last
                raise tarfile.ReadError("an entry has too many headers") from error

    forward = _Forward(stream, archive)
    forward.begin_header()
    with tarfile.open(
        fileobj=cast("IO[bytes]", forward), mode="r:", tarinfo=StrictHeader, encoding="utf-8"
    ) as tar:
        while (member := tar.next()) is not None:
            forward.end_header()
            tar.members.clear()  # type: ignore[attr-defined]
            yield member, tar.extractfile(member) if member.isreg() else None
            _forget_unknown(tar)
            forward.begin_header()
        forward.end_header()
        # The checksum of a compressed stream is at its end.
        while stream.read(_CHUNK):
            pass


def _forget_unknown(tar: "tarfile.TarFile") -> None:
    """Drop what global headers set for all later members, but means nothing to tarfile."""
    from tarfile import PAX_FIELDS

    headers = tar.pax_headers
    if any(name not in PAX_FIELDS for name in headers):
        tar.pax_headers = {name: text for name, text in headers.items() if name in PAX_FIELDS}
