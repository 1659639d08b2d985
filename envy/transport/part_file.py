"""The file that a download is written to, with its digests and what the server says about it.

A large download that its server can continue is written to a partial file of the cache, which the
next process continues; any other to a temporary file. Owns which of them, and whether content of an
earlier connection or process is used. Opens no connection.
"""

import contextlib
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from io import FileIO
from pathlib import Path
from typing import Self

from blake3 import blake3

from envy.cache.downloads import Downloads
from envy.cache.partials import Partial, PartialRecord
from envy.content.arriving import Arriving, AskFor
from envy.content.open_file import write_all
from envy.transport.content_encoding import encoding_of
from envy.transport.context import FetchContext, cannot_write
from envy.transport.digests import ExpectedDigest, Hasher, HashingThread

LEAST_KEPT = 1 << 20  # bytes; to fetch less again is cheaper than to keep a record of it
_CHECKED_EACH = 8 << 20
_LEAST_BESIDE = 8 << 20  # bytes; below, a thread for the digests does not pay
_CHUNK = 1 << 20
_DIGITS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    """Where the partial file of a download is found."""

    downloads: Downloads
    address: str
    digests: tuple[str, ...]

    def partial(self, *, begun: bool) -> Partial | None:
        return self.downloads.partial(self.address, self.digests, begun=begun)


class PartFile:
    """The content of one download so far, over all its connections.

    `done` of `total` bytes are written (`total` is 0 if it is unknown), of which `taken` are from
    an earlier process. `version` is the server's name for this version of the content, "" if the
    download cannot be continued, and `encoding` is that of the content. With `by_digest`, the
    beginning is from another address, so that only the digest tells whether the rest belongs to it.
    """

    def __init__(
        self,
        path: Path,
        uri: str,
        expected: Sequence[ExpectedDigest],
        kept: _Kept | None,
    ) -> None:
        self.uri = uri
        self._hasher = Hasher(expected)
        self._behind: HashingThread | None = None
        self.done = self.total = self.taken = 0
        self.version = self.encoding = ""
        self.by_digest = False
        self._path = path
        self._is_pinned = bool(expected)
        self._closing = contextlib.ExitStack()
        self._kept = kept
        self._partial: Partial | None = None
        self._file: FileIO | None = None
        self._checked = 0
        self._arriving: Arriving | None = None  # for whoever reads it already

    @property
    def hasher(self) -> Hasher:
        """The digests of the content so far."""
        if self._behind is not None:
            self._behind.catch_up()
        return self._hasher

    def take_up(self, context: FetchContext) -> None:
        """Take up what an earlier process downloaded, as far as it is sound."""
        partial = self._kept.partial(begun=True) if self._kept else None
        if partial is None:
            return
        self._closing.enter_context(partial)
        self._partial, self._file = partial, partial.file
        record = partial.record
        if record is None:
            return
        # The digest shows damage in the end. Without one, only what is known to be sound is used.
        most = record.total if self._is_pinned else record.checked
        while data := self._file.read(min(_CHUNK, most - self.done)):
            context.check_cancelled()
            self.hasher.update(data)
            self.done += len(data)
        if not self._is_pinned and self.hasher.sha256 != record.sha256:
            self.start_over()
            return
        self._file.truncate()
        self.total, self.taken = record.total, self.done
        self.by_digest = self._is_pinned and record.address != self._address
        self.version = "" if self.by_digest else record.version

    @property
    def _address(self) -> str:
        """What stands for the address in records, which hold none."""
        return blake3(self.uri.encode("utf-8", "surrogateescape")).hexdigest()[:_DIGITS]

    def adopt(self, headers: Mapping[str, str]) -> None:
        """Go on with an answer that continues what another address began."""
        if self.by_digest:
            # An answer with a part may leave out that the server can send parts.
            self.version = version_of({**lower_case(headers), "accept-ranges": "bytes"})
            self.by_digest = not self.version
            self._note()

    def begin(self, headers: Mapping[str, str]) -> None:
        """Begin with the content that an answer with these headers brings."""
        self.total = number_of(headers.get("content-length", ""))
        self.encoding = encoding_of(headers.get("content-encoding", ""))
        self.version = version_of(headers)
        if self._file is None:
            self._open()
        if self.total >= _LEAST_BESIDE and self._behind is None:
            self._behind = HashingThread(self._hasher)
            self._closing.callback(self._behind.end)
        self._note()

    def _open(self) -> None:
        if self._kept and self.version and not self.encoding and self.total >= LEAST_KEPT:
            self._partial = self._kept.partial(begun=False)
        if self._partial is not None:
            self._closing.enter_context(self._partial)
            self._file = self._partial.file
            self._file.truncate(0)
        else:
            self._file = self._closing.enter_context(FileIO(self._path, "w+"))

    def continues(self, headers: Mapping[str, str]) -> bool:
        """Return whether a part of the content, with these headers, is what follows `done`."""
        first, _, total = range_of(headers.get("content-range", ""))
        tag = headers.get("etag", "")
        if self.by_digest and encoding_of(headers.get("content-encoding", "")):
            return False
        return (
            first == self.done
            and total in {0, self.total or total}
            and not (self.version.startswith('"') and tag not in {"", self.version})
        )

    @property
    def buffer(self) -> bytearray | None:
        """What the next piece may be received into; None if the content is small."""
        return self._behind.buffer() if self._behind is not None else None

    def write(self, data: bytes | memoryview) -> None:
        """Append content, which may be in the buffer.

        Raises:
            CannotWrite: the disk is full, or the like.
        """
        assert self._file is not None, "begin() comes first"
        if self.done + len(data) > self.total:
            self.leave_readers()  # before a byte that is not in the file that they read
        try:
            write_all(self._file.fileno(), data)
        except OSError as error:
            raise cannot_write(self.uri, self._path, error) from error
        (self._behind or self._hasher).update(data)
        self.done += len(data)
        if self._arriving is not None:
            self._arriving.note(self.done)
        if not self._is_pinned and self.done - self._checked >= _CHECKED_EACH:
            self._note()

    def follow(self, ask_for: AskFor, given_up: threading.Event) -> Arriving:
        """Return the content for a reader that does not wait until all of it is there."""
        assert self._file is not None, "begin() comes first"
        descriptor = self._file.fileno()
        arriving = Arriving(str(self._path), descriptor, self.total, ask_for, given_up)
        self._arriving = arriving
        arriving.note(self.done)
        return arriving

    def end_for_readers(self) -> None:
        """Tell whoever reads the content its digest, now that all of it is there."""
        if self._arriving is not None and self.done == self.total:
            self._arriving.end(self.hasher.sha256)

    def leave_readers(self) -> None:
        """Let whoever reads the content fail, since it will be another."""
        if self._arriving is not None:
            self._arriving.give_up()
            self._arriving = None

    def start_over(self) -> None:
        """Forget all content, since its server has another or cannot continue it."""
        self.leave_readers()
        if self._file is not None:
            self._file.seek(0)
            self._file.truncate()
        self.hasher.restart()
        self.done = self.taken = self._checked = 0
        self.version = ""
        self.by_digest = False
        if self._partial is not None:
            self._partial.note(None)

    def place(self) -> None:
        """Give the whole content its own file, which no later process continues.

        Raises:
            CannotWrite: the disk is full.
        """
        assert self._file is not None, "begin() comes first"
        try:
            if self._partial is not None:
                self._partial.place(str(self._path))
        except OSError as error:
            raise cannot_write(self.uri, self._path, error) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is not None:
                self.leave_readers()
            self._note_end()
        finally:
            self._closing.close()

    def _note_end(self) -> None:
        """Note how much is sound, for the next process, as the download ends without success."""
        if self._partial is not None and self._partial.record is not None and not self._is_pinned:
            with contextlib.suppress(OSError):
                self._note()

    def _note(self) -> None:
        if self._partial is None or self.by_digest:
            return
        self._checked = self.done
        self._partial.note(
            PartialRecord(
                version=self.version,
                total=self.total,
                checked=self.done,
                sha256="" if self._is_pinned else self.hasher.sha256,
                address=self._address,
            )
            if self.version and self.total and not self.encoding
            else None
        )


def part_file(
    path: Path, uri: str, expected: Sequence[ExpectedDigest], context: FetchContext
) -> PartFile:
    """Return the content of a download to `path`, a context manager."""
    kept = None
    if context.kept is not None:
        digests = tuple(f"{each.algorithm}:{each.hexdigest}" for each in expected)
        kept = _Kept(downloads=context.kept, address=uri, digests=digests)
    return PartFile(path, uri, expected, kept)


# -- what servers say about content ----------------------------------------------------------------


def version_of(headers: Mapping[str, str]) -> str:
    """Return the server's name for a version of content, if it allows to continue it, or "".

    A weak tag does not guarantee the same bytes. Nor does a date of change, if the content could
    have changed again within the same second.
    """
    if headers.get("accept-ranges", "").strip().lower() != "bytes":
        return ""
    tag, changed = headers.get("etag", ""), headers.get("last-modified", "")
    if not f"{tag}{changed}".isprintable():
        return ""  # it could not be sent back as it is: a header of several lines, say
    if tag.startswith('"'):
        return tag
    try:
        sent = parsedate_to_datetime(headers.get("date", "")).timestamp()
        return changed if parsedate_to_datetime(changed).timestamp() < sent else ""
    except (ValueError, OverflowError, TypeError, IndexError):
        return ""


def lower_case(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def range_of(content_range: str) -> tuple[int, int, int]:
    """Return the first byte, the last and the total of a Content-Range; (-1, -1, 0) if not valid.

    A total that the server does not know is 0.
    """
    unit, _, rest = content_range.strip().partition(" ")
    span, slash, total = rest.partition("/")
    first, dash, last = span.partition("-")
    if unit.lower() != "bytes" or not slash or not dash or not (_is_number(first, last)):
        return -1, -1, 0
    if total != "*" and not (_is_number(total) and int(last) < int(total)):
        return -1, -1, 0
    return int(first), int(last), number_of(total)


def number_of(text: str) -> int:
    return int(text) if _is_number(text) else 0


def _is_number(*texts: str) -> bool:
    return all(len(text) < 20 and text.isascii() and text.isdigit() for text in texts)
