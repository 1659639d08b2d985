"""Reading 7z archives with py7zr, an extra.

Owns what envy adds to it: names, sizes and kinds of entries go through the same checks as those of
other archives, and the memory for decompression is bounded before it is asked for.
"""

import stat
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Any, NamedTuple, cast

from envy.content.archive_errors import locked
from envy.content.extraction import (
    Unpacking,
    parts_of,
    write_file,
    write_folder,
    write_symlink,
)
from envy.content.unpacked_size import UnpackedSize, pieces_of
from envy.errors import ArchiveError
from envy.extras import missing_extra
from envy.limits import ARCHIVE_HEADER, ARCHIVE_MEMORY

MAGIC = b"7z\xbc\xaf\x27\x1c"
_IN_MEMORY = 1 << 20
_LZMA, _LZMA2, _PPMD = b"\x03\x01\x01", b"\x21", b"\x03\x04\x01"


class SevenZipMember(NamedTuple):
    """An entry: `mode` with the bits of its kind, of Unix whatever system packed it."""

    name: str
    mode: int
    mtime: int


def extract_seven_zip(job: Unpacking) -> None:
    """Unpack the entries of a 7z archive.

    Raises:
        UsageError: py7zr is not installed.
        ArchiveError: an entry must not be written, or the archive has a password, is compressed in
            an unknown way, or needs more memory than its limit.
        ValueError: it is damaged.
    """
    try:
        import py7zr
    except ImportError as error:
        raise missing_extra(f"unpacking {job.archive}", "py7zr", "7z") from error
    from py7zr.exceptions import ArchiveError as LibraryError
    from py7zr.exceptions import PasswordRequired, UnsupportedCompressionMethodError

    try:
        # Given a file and not a path, it reads in this thread and in order.
        with job.archive.open("rb") as file, py7zr.SevenZipFile(file) as opened:
            if opened.needs_password():
                raise locked(job.archive)
            _check_memory(job.archive, opened)
            members = _members(job, opened)
            opened.extract(factory=_factory(job, members))
    except PasswordRequired:
        raise locked(job.archive) from None
    except UnsupportedCompressionMethodError as error:
        raise ArchiveError(
            f"{job.archive} is compressed in a way that py7zr does not know: {error}",
            archive=job.archive,
        ) from error
    except (LibraryError, AttributeError, IndexError, KeyError, TypeError) as error:
        # It meets some damage as a bug of its own.
        raise ValueError(f"{type(error).__name__} {error}".rstrip()) from error


def seven_zip_members(archive: Path) -> Iterator[tuple[SevenZipMember, int]]:
    """Yield the entries of a 7z archive with their sizes; nothing is decompressed.

    Raises:
        UsageError: py7zr is not installed; ValueError: the archive is damaged.
    """
    try:
        import py7zr
    except ImportError as error:
        raise missing_extra(f"listing {archive}", "py7zr", "7z") from error
    from py7zr.exceptions import ArchiveError as LibraryError
    from py7zr.exceptions import PasswordRequired

    try:
        with archive.open("rb") as file, py7zr.SevenZipFile(file) as opened:
            for entry in opened.files:
                yield _member(entry), int(entry.uncompressed or 0)
    except PasswordRequired:
        raise locked(archive) from None
    except (LibraryError, AttributeError, IndexError, KeyError, TypeError) as error:
        raise ValueError(f"{type(error).__name__} {error}".rstrip()) from error


def _members(job: Unpacking, opened: Any) -> dict[str, SevenZipMember]:
    """Return the files and links by the names that py7zr asks for; create the folders."""
    members = {}
    for entry in opened.files:
        member = _member(entry)
        if stat.S_ISDIR(member.mode):
            write_folder(job, member.name, mtime=member.mtime)
            continue
        if not (stat.S_ISREG(member.mode) or stat.S_ISLNK(member.mode)):
            raise job.refuse(member.name, "is a device, a pipe or of an unknown type")
        parts_of(job, member.name)
        name = str(PurePosixPath(member.name))
        if name in members:
            raise ValueError(f"two entries are named {member.name!r}")
        members[name] = member
    job.total = len(members)
    return members


def _member(entry: Any) -> SevenZipMember:
    if entry.is_directory:
        kind = stat.S_IFDIR
    elif entry.is_symlink or entry.is_junction:
        kind = stat.S_IFLNK
    else:
        kind = stat.S_IFSOCK if entry.is_socket else entry.st_fmt or stat.S_IFREG
    written = entry.lastwritetime
    return SevenZipMember(
        entry.filename,
        kind | (entry.posix_mode or 0),
        int(written.totimestamp()) if written is not None else 0,
    )


def _factory(job: Unpacking, members: dict[str, SevenZipMember]) -> Any:
    """Return what py7zr asks for a file for each entry that it decompresses."""
    import tempfile  # only this format needs it, and it loads much

    from py7zr.io import Py7zIO, WriterFactory

    kept = UnpackedSize(job.below.unpacked.limit)

    class EntryContent(Py7zIO):
        """What an entry holds, in a temporary file that has no name."""

        def __init__(self, member: SevenZipMember) -> None:
            self._member = member
            self._file = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115
            self._size = 0

        def write(self, s: bytes | bytearray) -> int:
            kept.add(len(s), job.archive)
            self._size += len(s)
            if stat.S_ISLNK(self._member.mode) and self._size > ARCHIVE_HEADER.value:
                raise ValueError(f"the link {self._member.name!r} has a target of {self._size} B")
            return self._file.write(s)

        def read(self, size: int | None = None) -> bytes:
            return self._file.read(-1 if size is None else size)

        def seek(self, offset: int, whence: int = 0) -> int:
            return self._file.seek(offset, whence)

        def flush(self) -> None:
            self._file.flush()

        def size(self) -> int:
            return self._size

        def close(self) -> None:
            with self._file as file:
                file.seek(0)
                _write(job, self._member, cast("IO[bytes]", file))

    class EntryContents(WriterFactory):
        """Makes the temporary file of an entry."""

        def create(self, filename: str) -> Py7zIO:
            return EntryContent(members[filename])

    return EntryContents()


def _write(job: Unpacking, member: SevenZipMember, content: IO[bytes]) -> None:
    if stat.S_ISLNK(member.mode):
        write_symlink(job, member.name, content.read().decode("utf-8", "surrogateescape"))
    else:
        write_file(job, member.name, pieces_of(content), mode=member.mode, mtime=member.mtime)


def _check_memory(archive: Path, opened: Any) -> None:
    needed = max((_memory(coder) for coder in _coders(opened)), default=0)
    if needed > ARCHIVE_MEMORY.value:
        raise ArchiveError(
            f"{archive} needs more than {ARCHIVE_MEMORY.shown} of memory to be decompressed, the "
            f"limit {ARCHIVE_MEMORY.name}",
            archive=archive,
            hint=ARCHIVE_MEMORY.hint,
        )


def _coders(opened: Any) -> Iterator[dict[str, Any]]:
    streams = getattr(opened.header, "main_streams", None)
    for folder in streams.unpackinfo.folders if streams is not None else ():
        yield from folder.coders


def _memory(coder: dict[str, Any]) -> int:
    """Return the size of the dictionary or model of a coder, in bytes."""
    method, properties = coder["method"], coder.get("properties") or b""
    if method in {_LZMA, _PPMD} and len(properties) >= 5:
        return int.from_bytes(properties[1:5], "little")
    if method == _LZMA2 and properties:
        bits = properties[0]
        return (2 | bits & 1) << (bits // 2 + 11) if bits < 40 else 1 << 32
    return 0
