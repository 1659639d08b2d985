"""The errors for files that are not archives, and for damaged archives."""

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

from envy.content.brought import LeadsOutside
from envy.content.decompression import OUT_OF_MEMORY
from envy.content.inflate import inflating_library
from envy.content.spelling import SameToFileSystem
from envy.errors import ArchiveError
from envy.limits import ARCHIVE_MEMORY
from envy.os_errors import os_error_hint, os_error_text

_HEAD = 512
_OTHER_PROGRAM = "unpack it with a program that does, in a stage function, or use another archive"
FORMATS = "tar, tar.gz, tar.bz2, tar.xz, tar.zst, zip, whl, 7z, deb, rpm, ar"


def unknown(archive: Path) -> ArchiveError:
    with archive.open("rb") as file:
        head = file.read(_HEAD).lstrip().lower()
    is_page = head.startswith((b"<!doctype", b"<html"))
    return ArchiveError(
        f"{archive} is not an archive that envy unpacks ({FORMATS})",
        archive=archive,
        hint="it is a web page: the server sent one instead of the file" if is_page else "",
    )


@contextlib.contextmanager
def named_errors(archive: Path) -> Iterator[None]:
    """Turn the errors of the decompressors into an ArchiveError."""
    try:
        yield
    except (ArchiveError, LeadsOutside):
        raise
    except SameToFileSystem as error:
        raise ArchiveError(
            f"could not unpack {archive}: {error.message}", archive=archive, hint=error.hint
        ) from None
    except OSError as error:
        # gzip and bz2 report damage as an OSError without a number.
        if error.errno is None:
            raise _damaged(archive, error) from error
        raise ArchiveError(
            f"could not unpack {archive}: {os_error_text(error)}",
            archive=archive,
            hint=os_error_hint(error),
        ) from error
    except Exception as error:
        if not isinstance(error, decompression_errors()):
            raise
        raise _damaged(archive, error) from error


def decompression_errors() -> tuple[type[Exception], ...]:
    """Return what the decompressors raise for damaged content."""
    import lzma
    import tarfile
    import zipfile
    import zlib

    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd
    return (
        EOFError,
        MemoryError,
        OverflowError,
        RuntimeError,
        ValueError,
        tarfile.TarError,
        zipfile.BadZipFile,
        zipfile.LargeZipFile,
        zlib.error,
        inflating_library().error,
        lzma.LZMAError,
        zstd.ZstdError,
    )


def locked(archive: Path, member: str = "") -> ArchiveError:
    """Return the error for an archive, or a member of one, that is encrypted."""
    entry = f": the entry {member!r}" if member else ""
    return ArchiveError(
        f"{archive}{entry} needs a password",
        archive=archive,
        member=member,
        hint="envy unpacks archives without one; unpack it in a stage function, or use another",
    )


def unknown_method(archive: Path, member: str, method: str) -> ArchiveError:
    """Return the error for a member that is compressed in a way which envy does not know."""
    return ArchiveError(
        f"{archive}: the entry {member!r} is compressed in a way that envy does not know: {method}",
        archive=archive,
        member=member,
        hint=_OTHER_PROGRAM,
    )


def _damaged(archive: Path, error: Exception) -> ArchiveError:
    if isinstance(error, MemoryError) or any(text in str(error) for text in OUT_OF_MEMORY):
        return ArchiveError(
            f"{archive} needs more than {ARCHIVE_MEMORY.shown} of memory to be decompressed, the "
            f"limit {ARCHIVE_MEMORY.name}",
            archive=archive,
            hint=ARCHIVE_MEMORY.hint,
        )
    if isinstance(error, NotImplementedError):
        return ArchiveError(
            f"{archive} has a form that envy does not know: {error}",
            archive=archive,
            hint=_OTHER_PROGRAM,
        )
    return ArchiveError(
        f"{archive} is damaged: {error or type(error).__name__}",
        archive=archive,
        hint="download it again; if the error remains, the source itself is damaged",
    )
