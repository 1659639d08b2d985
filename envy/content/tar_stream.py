"""Reading a tar as a stream, with bounds on what its headers may hold.

Owns the order of headers and contents. A damaged header is an error and not the end, a stream need
not be seekable, and no header makes envy read or keep more than its limit.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

from envy.content.tar_header import (
    BLOCK,
    EXTENDED,
    GLOBAL,
    LABEL,
    LONG_LINK,
    LONG_NAME,
    SPARSE,
    Header,
    long_text,
    parse_header,
    pax_records,
    with_extensions,
)
from envy.errors import ArchiveError
from envy.limits import ARCHIVE_HEADER

_MOST_HEADERS = 100  # of one member; programs write at most four
_USED = frozenset({"path", "linkpath", "size", "mtime"})
_NOTHING = bytes(BLOCK)


class _Chunks:
    """The bytes of a stream that arrives in chunks."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._chunk = b""
        self._at = 0

    def piece(self, size: int) -> bytes:
        """Return the next bytes, between one and `size`; b"" at the end."""
        if self._at == len(self._chunk):
            self._chunk, self._at = next(self._chunks, b""), 0
        begin, self._at = self._at, min(self._at + size, len(self._chunk))
        if self._at - begin == len(self._chunk):
            return self._chunk
        return self._chunk[begin : self._at]

    def whole(self, size: int) -> bytes | None:
        """Return the next `size` bytes if they are in one chunk, as most files are; else None."""
        begin, end = self._at, self._at + size
        if end > len(self._chunk):
            return None
        self._at = end
        return self._chunk[begin:end]

    def pieces(self, size: int) -> Iterator[bytes]:
        """Yield the next `size` bytes.

        Raises:
            EOFError: there are fewer.
        """
        while size:
            data = self.piece(size)
            if not data:
                raise EOFError("it ends within an entry")
            size -= len(data)
            yield data

    def skip(self, size: int) -> None:
        """Pass the next `size` bytes by.

        Raises:
            EOFError: there are fewer.
        """
        if len(self._chunk) - self._at >= size:
            self._at += size
            return
        for _ in self.pieces(size):
            pass

    def block(self) -> bytes:
        """Return the next block; b"" at the end.

        Raises:
            EOFError: the stream ends within it.
        """
        begin = self._at
        if len(self._chunk) - begin >= BLOCK:
            self._at = begin + BLOCK
            return self._chunk[begin : self._at]
        data = self.piece(BLOCK)
        while data and len(data) < BLOCK:
            more = self.piece(BLOCK - len(data))
            if not more:
                raise EOFError("it ends within a header")
            data += more
        return data


class _Headers:
    """Reads the headers of one member after the other."""

    def __init__(self, archive: Path, chunks: _Chunks) -> None:
        self._archive = archive
        self._chunks = chunks
        self._global: dict[str, str] = {}
        self._left = 0
        self._most = ARCHIVE_HEADER.value
        self._is_first = True

    def next(self) -> Header | None:
        """Return the header of the next member; None at the end of the archive."""
        self._left = self._most
        extended: dict[str, str] = {}
        for count in range(_MOST_HEADERS):
            self._take(BLOCK)
            block = self._chunks.block()
            if not block or block == _NOTHING:
                if count:
                    raise EOFError("it ends after an extended header")
                if not block and self._is_first:
                    raise EOFError("it holds nothing")
                return None
            self._is_first = False
            header = parse_header(block)
            if header.type not in EXTENDED:
                if self._global or extended or header.type != b"0":
                    header = with_extensions(header, {**self._global, **extended})
                return header
            self._extend(header, extended)
        raise ValueError("an entry has too many headers")

    def _extend(self, header: Header, extended: dict[str, str]) -> None:
        """Add what an extended header says; what an earlier one of the member says stays."""
        self._take(header.size)
        content = b"".join(self._chunks.pieces(header.size))
        self._chunks.skip(-header.size % BLOCK)
        if header.type == LONG_NAME:
            extended.setdefault("path", long_text(content))
        elif header.type == LONG_LINK:
            extended.setdefault("linkpath", long_text(content))
        else:
            # Within one header, the last record of a name counts.
            said = {k: v for k, v in pax_records(content) if k in _USED or "sparse" in k}
            if header.type == GLOBAL:
                self._global.update(said)
            else:
                extended.update({**said, **extended})

    def _take(self, size: int) -> None:
        self._left -= size
        if self._left < 0:
            raise ArchiveError(
                f"{self._archive}: an entry has names and headers of more than "
                f"{ARCHIVE_HEADER.shown}, the limit {ARCHIVE_HEADER.name}",
                archive=self._archive,
                hint=ARCHIVE_HEADER.hint,
            )


def members_of(archive: Path, chunks: Iterator[bytes]) -> Iterator[tuple[Header, Iterable[bytes]]]:
    """Yield the members of a tar in order, each with the pieces of its content, a tuple if at hand.

    The content is read as far as it is taken, and the rest passed by.

    Raises:
        ArchiveError: a header is larger than its limit, or an entry is a sparse file.
        EOFError, ValueError: the tar is damaged.
    """
    stream = _Chunks(chunks)
    headers = _Headers(archive, stream)
    while (header := headers.next()) is not None:
        if header.kind == SPARSE:
            raise ArchiveError(
                f"{archive}: the entry {header.name!r} is sparse, and envy unpacks no sparse files",
                archive=archive,
                member=header.name,
                hint="pack it without the option --sparse",
            )
        size = header.content_size
        if header.type == LABEL:
            stream.skip(size + -size % BLOCK)
            continue
        whole = stream.whole(size)
        if whole is not None:
            yield header, (whole,) if whole else ()
        else:
            content = stream.pieces(size)
            yield header, content
            for _ in content:
                pass
        stream.skip(-size % BLOCK)
    # The checksum of a compressed stream is at its end.
    while stream.piece(1 << 30):
        pass
