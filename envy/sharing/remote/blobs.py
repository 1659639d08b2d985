"""The blobs of a server: which are missing, their upload and their download.

Small ones travel together, up to what a message may hold; large ones as a stream. Several messages
are under way at once. Whatever is downloaded has the size and the digest that it was asked for by,
unless the caller compares it itself.
"""

from __future__ import annotations

import hashlib
import itertools
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from buildgrid.common.protos.build.bazel.remote.execution.v2 import (
    remote_execution_pb2 as reapi,
)
from buildgrid.common.protos.google.bytestream import bytestream_pb2

from envy.errors import Cancelled, FetchError
from envy.sharing.remote.raw_answers import ReadBlob
from envy.sharing.remote.server import RemoteServer
from envy.transport.context import NotFound

if TYPE_CHECKING:
    Read = Callable[[], Iterator[bytes]]  # returns the content of a blob, in pieces

_MESSAGE = 2 << 20  # bytes; every server takes 4 MiB, and several messages are under way
_READ = 1 << 20  # bytes of one request for a part of a large blob; more costs memory each time
_READS = 8  # such requests under way
_OVERHEAD = 256  # bytes of a blob in a message, beside its content
_SMALL = 1 << 20
_PIECE = 1 << 20
_UNDER_WAY = 4
_ASKED = 20_000  # digests in one question
_OK = 0


class Blobs:
    """The blobs of one server."""

    def __init__(self, server: RemoteServer, check: Callable[[], None]) -> None:
        """`check` is called now and then, and raises an error to end the work."""
        self._server = server
        self._check_given = check
        self._reads: deque[tuple[int, Any]] = deque()  # calls that are under way
        self._is_stopped = False

    def stop(self) -> None:
        """End what another thread does with these blobs, with an error there."""
        self._is_stopped = True
        for _, call in tuple(self._reads):
            call.cancel()

    def check(self) -> None:
        """Raise if the work is to end."""
        if self._is_stopped:
            raise Cancelled("stopped")
        self._check_given()

    def missing(self, digests: Iterable[reapi.Digest]) -> set[str]:
        """Return the hashes of the blobs that the server does not have.

        Raises:
            FetchError: it does not answer.
        """
        waiting = list(digests)
        found: set[str] = set()
        for start in range(0, len(waiting), _ASKED):
            self.check()
            request = reapi.FindMissingBlobsRequest(
                instance_name=self._server.instance, blob_digests=waiting[start : start + _ASKED]
            )
            answer = self._server.call(self._server.storage.FindMissingBlobs, request, self.check)
            found.update(digest.hash for digest in answer.missing_blob_digests)
        return found

    # -- upload ------------------------------------------------------------------------------------

    def upload(self, blobs: Sequence[tuple[reapi.Digest, Read]]) -> int:
        """Upload blobs; return their size in bytes.

        Raises:
            FetchError: the server does not take one.
        """
        small = [blob for blob in blobs if blob[0].size_bytes <= _SMALL]
        under_way: deque[Any] = deque()
        for batch in self._batches([digest for digest, _ in small]):
            self.check()
            reads = {digest.hash: read for digest, read in small[batch.start : batch.stop]}
            rows = [
                reapi.BatchUpdateBlobsRequest.Request(
                    digest=digest, data=b"".join(reads[digest.hash]())
                )
                for digest, _ in small[batch.start : batch.stop]
            ]
            request = reapi.BatchUpdateBlobsRequest(
                instance_name=self._server.instance, requests=rows
            )
            size = sum(len(row.data) for row in rows)
            method = self._server.storage.BatchUpdateBlobs
            under_way.append(self._server.begin(method, request, size=size, among=_UNDER_WAY))
            if len(under_way) >= _UNDER_WAY:
                self._stored(self._server.finish(under_way.popleft(), self.check))
        for future in under_way:
            self._stored(self._server.finish(future, self.check))
        for digest, read in blobs:
            if digest.size_bytes > _SMALL:
                self._write(digest, read)
        return sum(digest.size_bytes for digest, _ in blobs)

    def _stored(self, answer: Any) -> None:
        for row in answer.responses:
            if row.status.code != _OK:
                raise FetchError(
                    f"{self._server.shown} did not store a blob ({row.status.code}: "
                    f"{row.status.message[:200]})",
                    uri=self._server.shown,
                )

    def _write(self, digest: reapi.Digest, read: Read) -> None:
        above = f"{self._server.instance}/" if self._server.instance else ""

        def requests() -> Iterator[bytestream_pb2.WriteRequest]:
            name = f"{above}uploads/{uuid.uuid4()}/blobs/{digest.hash}/{digest.size_bytes}"
            offset = 0
            for piece in read():
                last = offset + len(piece) >= digest.size_bytes
                yield bytestream_pb2.WriteRequest(
                    resource_name=name if not offset else "",
                    write_offset=offset,
                    finish_write=last,
                    data=piece,
                )
                offset += len(piece)

        answer = self._server.write_stream(requests, self.check, size=digest.size_bytes)
        if answer.committed_size not in {digest.size_bytes, -1}:
            raise FetchError(
                f"{self._server.shown} stored {answer.committed_size} bytes of a blob of "
                f"{digest.size_bytes}",
                uri=self._server.shown,
            )

    # -- download ----------------------------------------------------------------------------------

    def read(self, digests: Sequence[reapi.Digest]) -> dict[str, bytes]:
        """Return the content of blobs, by hash, verified.

        Raises:
            NotFound: the server does not have one; FetchError: it cannot be read, or is wrong.
        """
        found: dict[str, bytes] = {}
        for digest, pieces in self.download(digests):
            data = b"".join(pieces)
            self._compare(digest, hashlib.sha256(data).hexdigest(), len(data))
            found[digest.hash] = data
        return found

    def download(
        self, digests: Sequence[reapi.Digest]
    ) -> Iterator[tuple[reapi.Digest, Iterable[bytes]]]:
        """Yield blobs with their pieces, which have the right size but are not compared.

        Raises:
            NotFound: the server does not have one; FetchError: it cannot be read.
        """
        once = {digest.hash: digest for digest in digests}
        small = [digest for digest in once.values() if digest.size_bytes <= _SMALL]
        under_way: deque[tuple[Sequence[reapi.Digest], Any]] = deque()
        for batch in self._batches(small):
            asked = small[batch.start : batch.stop]
            request = reapi.BatchReadBlobsRequest(
                instance_name=self._server.instance, digests=asked
            )
            size = sum(digest.size_bytes for digest in asked)
            method = self._server.read_batch
            under_way.append(
                (asked, self._server.begin(method, request, size=size, among=_UNDER_WAY))
            )
            if len(under_way) >= _UNDER_WAY:
                yield from self._answered(*under_way.popleft())
        while under_way:
            yield from self._answered(*under_way.popleft())
        for digest in once.values():
            if digest.size_bytes > _SMALL:
                yield digest, self._read(digest)

    def _answered(
        self, asked: Sequence[reapi.Digest], future: Any
    ) -> Iterator[tuple[reapi.Digest, Iterable[bytes]]]:
        self.check()
        answer: Sequence[ReadBlob] = self._server.finish(future, self.check)
        rows = {row.hash: row for row in answer}
        for digest in asked:
            row = rows.get(digest.hash)
            if row is None or row.code != _OK:
                raise NotFound(
                    f"{self._server.shown} does not have the blob {digest.hash[:16]}",
                    uri=self._server.shown,
                )
            if len(row.data) != digest.size_bytes:
                raise self._wrong(digest)
            yield digest, (row.data,)

    def _read(self, digest: reapi.Digest) -> Iterator[bytes]:
        above = f"{self._server.instance}/" if self._server.instance else ""
        name = f"{above}blobs/{digest.hash}/{digest.size_bytes}"
        offsets = iter(range(0, digest.size_bytes, _READ))
        self._reads = under_way = deque[tuple[int, Any]]()
        try:
            while True:
                for offset in itertools.islice(offsets, _READS - len(under_way)):
                    most = min(_READ, digest.size_bytes - offset)
                    under_way.append((most, self._begin_read(name, offset, most)))
                if not under_way:
                    return
                most, answer = under_way[0]
                received = 0
                self.check()  # `stop` sees this call, or this sees it
                for part in self._server.parts_of(answer):
                    self.check()
                    received += len(part)
                    if received > most:
                        raise self._wrong(digest)
                    yield part
                if received != most:
                    raise self._wrong(digest)
                under_way.popleft()
        finally:
            for _, answer in under_way:
                answer.cancel()

    def _begin_read(self, name: str, offset: int, most: int) -> Any:
        request = bytestream_pb2.ReadRequest(
            resource_name=name, read_offset=offset, read_limit=most
        )
        return self._server.open_read(request, size=most, among=_READS)

    def _compare(self, digest: reapi.Digest, found: str, size: int) -> None:
        if found != digest.hash or size != digest.size_bytes:
            raise self._wrong(digest)

    def _wrong(self, digest: reapi.Digest) -> FetchError:
        return WrongBlob(
            f"{self._server.shown} sent something else than the blob {digest.hash[:16]}",
            uri=self._server.shown,
        )

    def _batches(self, digests: Sequence[reapi.Digest]) -> Iterator[range]:
        """Yield ranges of small blobs that fit into one message."""
        most = self._server.capabilities().cache_capabilities.max_batch_total_size_bytes
        room = min(most or _MESSAGE, _MESSAGE) - (64 << 10)
        start, size = 0, 0
        for position, digest in enumerate(digests):
            needs = digest.size_bytes + _OVERHEAD
            if position > start and size + needs > room:
                yield range(start, position)
                start, size = position, 0
            size += needs
        if start < len(digests):
            yield range(start, len(digests))


def is_small(digest: reapi.Digest) -> bool:
    """Return whether a blob travels together with others."""
    return digest.size_bytes <= _SMALL


class WrongBlob(FetchError):
    """A server sent other content than was asked for."""


def pieces_of_file(path: str) -> Iterator[bytes]:
    """Yield the content of a file."""
    with open(path, "rb") as file:
        while data := file.read(_PIECE):
            yield data
