"""The files that an action needs as a tree of messages, whose digest names all of them."""

from __future__ import annotations

import functools
import hashlib
import os
import threading
from collections.abc import Callable, Iterator
from typing import Any

from buildgrid.common.protos.build.bazel.remote.execution.v2 import remote_execution_pb2 as reapi

from envy.cache.layout import EntryPaths
from envy.content.plain_file import NotPlain
from envy.errors import CacheError
from envy.sharing.actions import NotExecuted, RemoteAction
from envy.sharing.remote.blobs import pieces_of_file
from envy.sharing.remote.messages import digest_of, encoded
from envy.sharing.remote.payload_tree import PayloadTree, payload_tree

Sources = dict[str, tuple[reapi.Digest, Callable[[], Iterator[bytes]]]]  # by hash


class FileDigests:
    """The SHA256 digests of files, each computed once while its status is the same."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[tuple[int, ...], reapi.Digest, bool]] = {}
        self._lock = threading.Lock()

    def of(self, path: str) -> tuple[reapi.Digest, bool]:
        """Return the digest of a file, and whether it can be run.

        Raises:
            NotExecuted: it cannot be read.
        """
        try:
            status = os.stat(path)
            mark = (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
            with self._lock:
                known = self._known.get(path)
            if known is None or known[0] != mark:
                with open(path, "rb") as file:
                    text = hashlib.file_digest(file, "sha256").hexdigest()
                digest = reapi.Digest(hash=text, size_bytes=status.st_size)
                known = (mark, digest, bool(status.st_mode & 0o100))
                with self._lock:
                    self._known[path] = known
        except OSError as error:
            raise NotExecuted(f"{path} cannot be read: {error.strerror}", uri=path) from error
        return known[1], known[2]


class Payloads:
    """The trees of payloads, each made once."""

    def __init__(self) -> None:
        self._known: dict[str, PayloadTree] = {}
        self._lock = threading.Lock()

    def of(self, entry: EntryPaths, check: Callable[[], None]) -> PayloadTree:
        """Return the tree of the payload of a complete entry.

        Raises:
            NotExecuted: it cannot be read, or sent.
        """
        with self._lock:
            known = self._known.get(entry.location)
        if known is None:
            try:
                known = payload_tree(entry, check)
            except (CacheError, NotPlain, OSError) as error:
                text = f"{entry.name} cannot be sent: {error}"
                raise NotExecuted(text, uri=entry.location) from error
            with self._lock:
                self._known[entry.location] = known
        return known


def input_root(
    action: RemoteAction,
    digests: FileDigests,
    payloads: Payloads,
    check: Callable[[], None] = lambda: None,
) -> tuple[reapi.Digest, Sources]:
    """Return the digest of the input root of an action, and its blobs.

    Raises:
        NotExecuted: a file cannot be read.
    """
    sources: Sources = {}
    folders: dict[str, reapi.Directory] = {"": reapi.Directory()}

    def folder(path: str) -> reapi.Directory:
        found = folders.get(path)
        if found is None:
            found = folders[path] = reapi.Directory()
            folder(path.rpartition("/")[0])
        return found

    for path in (action.folder, *action.folders):
        folder(path)
    for path, entry in action.payloads.items():
        payload = payloads.of(entry, check)
        sources.update(
            (name, (digest, functools.partial(pieces_of_file, file)))
            for name, (digest, file) in payload.files.items()
        )
        above, _, name = path.rpartition("/")
        root, *_ = [add_blob(sources, message) for message in payload.folders]
        folder(above).directories.append(reapi.DirectoryNode(name=name, digest=root))
    for path, target in action.links.items():
        above, _, name = path.rpartition("/")
        folder(above).symlinks.append(reapi.SymlinkNode(name=name, target=target))
    for path, source in action.files.items():
        check()
        digest, executable = digests.of(source)
        above, _, name = path.rpartition("/")
        folder(above).files.append(
            reapi.FileNode(name=name, digest=digest, is_executable=executable)
        )
        sources[digest.hash] = (digest, functools.partial(pieces_of_file, source))
    # The deepest first: the digest of a folder is in the one above it.
    for path in sorted(folders, key=lambda path: path.count("/") + bool(path), reverse=True):
        message = folders[path]
        for rows in (message.files, message.directories, message.symlinks):
            rows.sort(key=lambda node: node.name)
        digest = add_blob(sources, encoded(message))
        if path:
            above, _, name = path.rpartition("/")
            folders[above].directories.append(reapi.DirectoryNode(name=name, digest=digest))
    return digest_of(encoded(folders[""])), sources


def add_blob(sources: Sources, data: bytes) -> reapi.Digest:
    """Add a blob that is at hand; return its digest."""
    digest = digest_of(data)
    sources[digest.hash] = (digest, functools.partial(_pieces_of, data))
    return digest


def _pieces_of(data: bytes) -> Iterator[Any]:
    yield data
