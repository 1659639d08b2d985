"""The downloads that the cache keeps, each under a name that is a digest of its content.

A caller that uses one has to check its digest, each time: see `transport.kept`.

Guarantees
  A download has its name as a whole, or not at all: the name is created by a link or a rename.
  Its file is read-only. A working file shares it only if the caller asks for that, and a payload
  never does: see `separate`.
  Nothing else than a plain file in plain folders is used; anything else with the name of a download
  is removed, and no link is followed.
  Several processes may keep, use and remove the same download; each finds it whole, or misses it.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import stat
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from blake3 import blake3

from envy.cache.filesystem import REAL, FileSystem
from envy.cache.names import (
    DIGITS,
    DOWNLOAD_ALGORITHMS,
    DOWNLOAD_NAMES_FOLDER,
    DOWNLOADS_FOLDER,
    RECORD,
    REFUSED_FOLDER,
)
from envy.cache.use_record import FRESH
from envy.content.atomic import atomic_write, written_file
from envy.content.digest_text import is_digest
from envy.content.plain_file import NotPlain, read_plain
from envy.limits import CACHE_FILE

if TYPE_CHECKING:
    from envy.cache.partials import Partial

_TO_READ = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
_WRITE_BITS = 0o222
# No second name here: another file system, one without them, or a file of another user.
_NO_LINK = frozenset({errno.EXDEV, errno.EPERM, errno.EACCES, errno.EMLINK, errno.ENOTSUP})


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownFile:
    """What a registry named for a source: the name of a file, and its SHA-256."""

    name: str
    sha256: str


class Downloads:
    """The downloads in a cache; without `writes`, they are only read.

    `project` is what records about unpinned sources belong to: a manifest and a platform.
    """

    def __init__(
        self, root: str, *, project: str = "", writes: bool = True, files: FileSystem = REAL
    ) -> None:
        self._root = root
        self._folder = os.path.join(root, DOWNLOADS_FOLDER)
        self._project = project
        self._writes = writes
        self._files = files

    # -- content -----------------------------------------------------------------------------------

    def path(self, algorithm: str, digest: str) -> str:
        """Return the path of a download, whether or not it is kept.

        Raises:
            ValueError: `digest` is none, so that it must not become part of a path.
        """
        if algorithm not in DOWNLOAD_ALGORITHMS or not is_digest(algorithm, digest):
            raise ValueError(f"{digest[:200]!r} is not a digest ({algorithm})")
        return os.path.join(self._folder, algorithm, digest)

    def find(self, algorithm: str, digest: str) -> int | None:
        """Return a descriptor of a download for reading; None if it is not kept.

        What is no plain file is removed.
        """
        if algorithm not in DOWNLOAD_ALGORITHMS:
            return None
        path = self.path(algorithm, digest)
        if not self._has_folder(algorithm):
            return None
        try:
            descriptor = os.open(path, _TO_READ)
        except FileNotFoundError:
            return None
        except OSError as error:
            # A link, or a socket; a file that may not be read is left alone.
            if error.errno in {errno.ELOOP, errno.EMLINK, errno.ENXIO}:
                self.drop(algorithm, digest)
            return None
        status = os.fstat(descriptor)
        if stat.S_ISREG(status.st_mode):
            self._note_use(descriptor, status)
            return descriptor
        os.close(descriptor)
        self.drop(algorithm, digest)
        return None

    def share(self, algorithm: str, digest: str, target: str) -> bool:
        """Give a download the second name `target`; return whether that was possible.

        Raises:
            OSError: the folder of `target` cannot be written.
        """
        try:
            if not self._files.link(self.path(algorithm, digest), target):
                return False
        except FileNotFoundError:
            return False  # it has just been removed
        except OSError as error:
            if error.errno not in _NO_LINK:
                raise
            return False
        if stat.S_ISREG(os.lstat(target).st_mode):
            return True
        self._files.remove(target)
        return False

    def keep(self, path: str, digests: Mapping[str, str], *, shared: bool) -> None:
        """Keep a file whose digests were verified; `shared`: the file itself, else a copy.

        Raises:
            OSError: it cannot be kept, for lack of space say. Nothing incomplete has its name.
        """
        if not self._writes:
            return
        kept = ""
        for algorithm in DOWNLOAD_ALGORITHMS:
            if algorithm not in digests:
                continue
            self._make_folder(algorithm)
            target = self.path(algorithm, digests[algorithm])
            if not kept:
                self._keep_first(path, target, shared=shared)
                kept = target
            else:
                with contextlib.suppress(OSError):  # one name is enough
                    self._files.link(kept, target)

    def drop(self, algorithm: str, digest: str) -> None:
        """Remove whatever has the name of a download; a failure is ignored."""
        if self._writes:
            with contextlib.suppress(OSError):
                self._files.remove_tree(self.path(algorithm, digest))

    def refuse(self, path: str, sha256: str) -> str:
        """Keep a file with a wrong digest aside; return its new path, "" if it is not kept.

        Raises:
            OSError: it cannot be moved.
        """
        if not self._writes:
            return ""
        from envy.cache.refused import set_aside

        return set_aside(os.path.join(self._folder, REFUSED_FOLDER), path, sha256, self._files)

    def partial(self, address: str, digests: Sequence[str], *, begun: bool) -> Partial | None:
        """Return the partial download of what has these digests, or else of an address.

        With `begun`, only one that has content is returned.
        None if it cannot be used, for example because another process is writing it.
        """
        if not self._writes:
            return None
        from envy.cache.partials import open_partial

        return open_partial(self._root, "" if digests else address, digests, begun=begun)

    def _keep_first(self, path: str, target: str, *, shared: bool) -> None:
        if os.path.lexists(target):
            return
        if shared:
            try:
                self._files.set_mode(path, _closed(path))
                self._files.link(path, target)
            except OSError as error:
                if error.errno not in _NO_LINK:
                    raise
            else:
                return
        with written_file(target) as new:
            _copy(path, new)
            self._files.set_mode(new, _closed(new))

    def _has_folder(self, name: str) -> bool:
        """Return whether the folder of an algorithm is one, as opposed to a link to one."""
        try:
            return all(
                stat.S_ISDIR(os.lstat(path).st_mode)
                for path in (self._folder, os.path.join(self._folder, name))
            )
        except OSError:
            return False

    def _make_folder(self, name: str) -> None:
        if not self._has_folder(name):
            for path in (self._folder, os.path.join(self._folder, name)):
                self._files.make_dir(path)

    def _note_use(self, descriptor: int, status: os.stat_result) -> None:
        if self._writes and not 0 <= time.time() - status.st_mtime < FRESH:
            with contextlib.suppress(OSError):
                os.utime(descriptor)

    # -- what registries named ---------------------------------------------------------------------

    def recall(self, *source: str, pinned: bool) -> KnownFile | None:
        """Return what was remembered about a source; None if nothing, or nothing that is valid.

        A record is valid for one project only, unless the source is `pinned` by a digest that is
        among its texts.
        """
        path = self._record(source, pinned=pinned)
        if not self._has_folder(DOWNLOAD_NAMES_FOLDER):
            return None
        try:
            row = json.loads(read_plain(path, CACHE_FILE))
            found = KnownFile(name=str(row["name"]), sha256=str(row["sha256"]))
        except (OSError, NotPlain, ValueError, TypeError, KeyError, RecursionError):
            return None
        if (
            found.name in {"", ".", ".."}
            or "/" in found.name
            or not is_digest("sha256", found.sha256)
        ):
            return None
        with contextlib.suppress(OSError):
            if self._writes and not 0 <= time.time() - os.stat(path).st_mtime < FRESH:
                os.utime(path)
        return found

    def remember(self, *source: str, pinned: bool, known: KnownFile) -> None:
        """Remember what a registry named for a source; a failure is ignored."""
        if not self._writes or self.recall(*source, pinned=pinned) == known:
            return
        path = self._record(source, pinned=pinned)
        text = json.dumps({"name": known.name, "sha256": known.sha256})
        with contextlib.suppress(OSError):
            self._make_folder(DOWNLOAD_NAMES_FOLDER)
            if os.path.lexists(path) and not os.path.isfile(path):
                self._files.remove_tree(path)
            atomic_write(path, text.encode("ascii"))

    def _record(self, source: tuple[str, ...], *, pinned: bool) -> str:
        texts = ["" if pinned else self._project, *source]
        name = blake3("\0".join(texts).encode("utf-8", "surrogateescape")).hexdigest()[:DIGITS]
        return os.path.join(self._folder, DOWNLOAD_NAMES_FOLDER, f"{name}{RECORD}")


def _closed(path: str) -> int:
    return stat.S_IMODE(os.lstat(path).st_mode) & ~_WRITE_BITS


def _copy(source: str, target: str) -> None:
    from envy.content.tree_copy import copy_content

    with open(source, "rb") as reading, open(target, "xb") as writing:
        copy_content(reading.fileno(), writing.fileno())
