"""Downloads that are not complete yet: whichever process needs one next continues it.

A name stands for the digests that its content must have, or for an address if there are none; it
holds neither. So with a digest, the next process may continue it from another address.

Guarantees
  A partial download has one writer at a time, across all processes. Nobody waits for that: whoever
  finds it taken downloads to a file of its own.
  Everything in its file is content of the version that its record names: the file is emptied before
  another record is written, and a record is written before the first byte. A killed process leaves
  both as they are.
  Only a plain file with one name, of the same user, is continued; no link is followed.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING

from blake3 import blake3

from envy.cache.names import DOWNLOADS_FOLDER, PARTIAL_RECORD, PARTIALS_FOLDER
from envy.content.atomic import SUFFIX, atomic_write
from envy.content.json_text import parse_json
from envy.content.plain_file import NotPlain, read_plain
from envy.content.tree_copy import copy_content
from envy.limits import CACHE_FILE

if TYPE_CHECKING:
    from collections.abc import Iterable
    from io import FileIO

_FLAGS = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class PartialRecord:
    """What is known about a partial file.

    `version` is the server's name for the content, `address` stands for where that was, and `total`
    is its whole size. The first `checked`
    bytes had the digest `sha256`; what follows them may have been lost in a power failure.
    """

    version: str
    total: int
    checked: int = 0
    sha256: str = ""
    address: str = ""


class Partial:
    """A partial download that this process alone writes; use it as a context manager.

    `file` is open for reading and writing, without a buffer, and `record` is what an earlier
    process knew about its content, None if it is empty. In the end it is kept if it has a record,
    unless it was placed.
    """

    def __init__(self, path: str, file: FileIO) -> None:
        self.path = path
        self.file = file
        self.record = self._read_record()

    def note(self, record: PartialRecord | None) -> None:
        """Write a record of what the file is going to have; None if it cannot be continued.

        A failure is ignored: the next process begins again.
        """
        self.record = record
        path = f"{self.path[: -len(SUFFIX)]}{PARTIAL_RECORD}"
        with contextlib.suppress(OSError):
            if record is None:
                os.unlink(path)
                return
            fields = {name: getattr(record, name) for name in PartialRecord.__slots__}
            atomic_write(path, json.dumps(fields).encode("ascii"), sole_writer=True)

    def place(self, target: str) -> None:
        """Make `target` the file: it is renamed, or copied if that is not possible.

        Raises:
            OSError: it cannot be copied.
        """
        self.note(None)
        try:
            if not self._is_here():
                raise OSError(errno.EXDEV, "the partial file was removed")
            os.rename(self.path, target)
        except OSError:
            with open(target, "wb") as copy:
                copy_content(self.file.fileno(), copy.fileno())
                if os.fstat(copy.fileno()).st_size != os.fstat(self.file.fileno()).st_size:
                    raise OSError(errno.EIO, "the copy is not complete", target) from None

    def __enter__(self) -> Partial:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            if self.record is None and self._is_here():
                with contextlib.suppress(OSError):
                    os.unlink(self.path)
            # Closing is not enough: a child that is just being started has a copy.
            with contextlib.suppress(OSError):
                fcntl.flock(self.file.fileno(), fcntl.LOCK_UN)
        finally:
            with contextlib.suppress(OSError):
                self.file.close()

    def _is_here(self) -> bool:
        try:
            return os.path.samestat(os.fstat(self.file.fileno()), os.lstat(self.path))
        except OSError:
            return False

    def _read_record(self) -> PartialRecord | None:
        size = os.fstat(self.file.fileno()).st_size
        try:
            path = f"{self.path[: -len(SUFFIX)]}{PARTIAL_RECORD}"
            row = parse_json(read_plain(path, CACHE_FILE))
            record = PartialRecord(
                version=str(row["version"]),
                total=int(row["total"]),
                checked=int(row["checked"]),
                sha256=str(row["sha256"]),
                address=str(row["address"]),
            )
        except (OSError, NotPlain, ValueError, TypeError, KeyError, AttributeError):
            record = None
        if (
            record is not None
            and record.version
            and 0 < size <= record.total >= record.checked >= 0
        ):
            return record
        with contextlib.suppress(OSError):
            os.ftruncate(self.file.fileno(), 0)
        return None


def open_partial(
    root: str, address: str, digests: Iterable[str], *, begun: bool = False
) -> Partial | None:
    """Return the partial download of an address, empty or not; None if it cannot be used now.

    With `begun`, only one that has content is returned.
    """
    name = blake3("\0".join([address, *digests]).encode("utf-8", "surrogateescape")).hexdigest()
    folder = os.path.join(root, DOWNLOADS_FOLDER, PARTIALS_FOLDER)
    path = os.path.join(folder, f"{name}{SUFFIX}")
    if begun and not os.path.lexists(path):
        return None
    try:
        os.makedirs(root, exist_ok=True)  # the first command may be a download
        for each in (os.path.dirname(folder), folder):
            with contextlib.suppress(FileExistsError):
                os.mkdir(each)
            if not stat.S_ISDIR(os.lstat(each).st_mode):
                return None
        descriptor = os.open(path, _FLAGS, 0o666)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if _is_ours(os.fstat(descriptor), path):
            return Partial(path, os.fdopen(descriptor, "r+b", buffering=0))
    except OSError:
        pass
    os.close(descriptor)
    return None


def _is_ours(status: os.stat_result, path: str) -> bool:
    return (
        stat.S_ISREG(status.st_mode)
        and status.st_nlink == 1
        and status.st_uid == os.geteuid()
        and os.path.samestat(status, os.lstat(path))
    )
