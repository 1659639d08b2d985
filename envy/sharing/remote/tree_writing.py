"""Writing the payload of an entry with the blobs of a server; it is verified afterwards.

Large blobs travel and are written in a second thread, if there is one, beside the many small ones,
so that neither the server nor the disk waits for the other.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from buildgrid.common.protos.build.bazel.remote.execution.v2 import (
    remote_execution_pb2 as reapi,
)

from envy.cache.imported_entry import UnpackedEntry
from envy.cache.trees import DIRECTORY, LINK
from envy.content.below_root import BelowRoot, open_below
from envy.content.brought import Brought, Parts
from envy.content.extra_threads import extra_thread
from envy.sharing.remote.blobs import Blobs, is_small
from envy.sharing.remote.payload_tree import TreeMember
from envy.sharing.remote.server import RemoteServer

_PIECE = 1 << 20  # bytes


def write_tree(
    members: Sequence[TreeMember],
    unpacked: UnpackedEntry,
    server: RemoteServer,
    check: Callable[[], None],
) -> None:
    """Create the members of a tree below the folder of an entry, with the content of a server.

    `check` is called now and then, by two threads, and raises an error to end the work.

    Raises:
        NotFound: the server does not have a blob; FetchError: it cannot be read.
        OSError: a file cannot be written.
    """
    payload = unpacked.payload
    assert payload is not None
    wanted = _Wanted(unpacked)
    shown = Path(server.shown)
    for parts, kind, digest, _, target, mtime in members:
        name = "/".join(parts)
        unpacked.made.add(name)
        if kind == DIRECTORY:
            payload.real_folder(parts)
            unpacked.folders.add(parts)
        elif kind == LINK:
            payload.create_link(parts, Brought(server.shown, name, target, judged=False))
        elif digest is not None:
            payload.unpacked.add(digest.size_bytes, shown)
            wanted.add(digest, parts, mtime)
    small = [digest for digest in wanted.digests.values() if is_small(digest)]
    large = [digest for digest in wanted.digests.values() if not is_small(digest)]
    if not small or not large:
        wanted.write(Blobs(server, check), small or large, payload)
        return
    beside = _Beside(wanted, large, server, check)
    with extra_thread(beside.run, beside.stop) as is_running:
        wanted.write(Blobs(server, beside.check), small, payload)
        if not is_running:
            beside.run()
    beside.raise_error()


@dataclass(slots=True)
class _Wanted:
    """The files of a payload that are to be written, by the hash of their content."""

    unpacked: UnpackedEntry
    digests: dict[str, reapi.Digest] = field(default_factory=dict)
    places: dict[str, list[tuple[Parts, float | None]]] = field(default_factory=dict)

    def add(self, digest: reapi.Digest, parts: Parts, mtime: float | None) -> None:
        text = digest.hash
        self.digests.setdefault(text, digest)
        self.places.setdefault(text, []).append((parts, mtime))

    def write(self, blobs: Blobs, digests: Sequence[reapi.Digest], payload: BelowRoot) -> None:
        # Nothing is compared here: the fingerprint is, and it covers each byte.
        for digest, pieces in blobs.download(digests):
            (first, mtime), *others = self.places[digest.hash]
            self.unpacked.write(first, pieces, mtime=mtime, payload=payload)
            for parts, mtime in others:
                again = pieces if isinstance(pieces, tuple) else _content_of(payload, first)
                self.unpacked.write(parts, again, mtime=mtime, payload=payload)


class _Beside:
    """The blobs that a second thread writes, which looks up paths by itself."""

    def __init__(
        self,
        wanted: _Wanted,
        digests: Sequence[reapi.Digest],
        server: RemoteServer,
        check: Callable[[], None],
    ) -> None:
        self._wanted = wanted
        self._digests = digests
        self._check = check
        self._blobs = Blobs(server, check)
        self._error: BaseException | None = None

    def run(self) -> None:
        try:
            payload = self._wanted.unpacked.payload
            assert payload is not None
            with contextlib.closing(open_below(payload.given)) as below:
                self._wanted.write(self._blobs, self._digests, below)
        except BaseException as error:  # noqa: BLE001 - raised again by `raise_error`
            self._error = error

    def stop(self) -> None:
        self._blobs.stop()

    def check(self) -> None:
        """Raise what ends the work of the first thread: an error of the second, too."""
        self._check()
        self.raise_error()

    def raise_error(self) -> None:
        if self._error is not None:
            raise self._error


def _content_of(payload: BelowRoot, parts: Parts) -> Iterator[bytes]:
    with open(payload.open_file(parts), "rb") as file:
        while data := file.read(_PIECE):
            yield data
