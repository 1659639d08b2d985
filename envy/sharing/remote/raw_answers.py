"""The answers that have the content of blobs, taken apart without copies of that content.

A message of protobuf copies each blob twice. So the bytes that servers send nearly always are read
here, and everything else is left to protobuf: the result is the same, errors included.
"""

from __future__ import annotations

from typing import NamedTuple

from buildgrid.common.protos.build.bazel.remote.execution.v2 import (
    remote_execution_pb2 as reapi,
)
from buildgrid.common.protos.google.bytestream import bytestream_pb2

# A field begins with its number times eight, and 2 if a length follows.
_DATA_OF_PART = 10 << 3 | 2
_ROW, _DIGEST, _DATA = 1 << 3 | 2, 1 << 3 | 2, 2 << 3 | 2
_HASH = b"\x0a\x40"  # the first field of a digest: 64 characters
_SIZE = 2 << 3
_MOST_BITS = 63  # of a number
_FINE = (b"", b"\x1a\x00")  # what is behind the content if all is well: no status, or an empty one


class ReadBlob(NamedTuple):
    """What a server sent of one blob: its hash, a code of `google.rpc`, and its content."""

    hash: str
    code: int
    data: bytes


def data_of_part(raw: bytes) -> bytes:
    """Return the content of a `ReadResponse`.

    Raises:
        DecodeError: it is damaged.
    """
    try:
        if raw[0] == _DATA_OF_PART:
            size, at = _number(raw, 1)
            if at + size == len(raw):
                return raw[at:]
    except (IndexError, ValueError):
        pass
    data: bytes = bytestream_pb2.ReadResponse.FromString(raw).data
    return data


def blobs_of_batch(raw: bytes) -> list[ReadBlob]:
    """Return the rows of a `BatchReadBlobsResponse`.

    Raises:
        DecodeError: it is damaged.
    """
    found = _plain_blobs(raw)
    if found is None:
        return [
            ReadBlob(row.digest.hash, row.status.code, row.data)
            for row in reapi.BatchReadBlobsResponse.FromString(raw).responses
        ]
    return found


def _plain_blobs(raw: bytes) -> list[ReadBlob] | None:
    """Return the rows if each is a digest and its content, and nothing else; else None."""
    found = []
    at = 0
    try:
        while at < len(raw):
            if raw[at] != _ROW:
                return None
            size, at = _number(raw, at + 1)
            end = at + size
            if raw[at] != _DIGEST or raw[at + 2 : at + 4] != _HASH or end > len(raw):
                return None
            name = raw[at + 4 : at + 68]
            behind, at = at + 2 + raw[at + 1], at + 68
            if at < behind and raw[at] == _SIZE:
                _size, at = _number(raw, at + 1)
            if at != behind:
                return None
            data = b""
            if at < end and raw[at] == _DATA:
                size, at = _number(raw, at + 1)
                data = raw[at : at + size]
                at += size
            if at > end or raw[at:end] not in _FINE:
                return None
            at = end
            found.append(ReadBlob(name.decode("ascii"), 0, data))
    except (IndexError, ValueError):
        return None
    return found


def _number(raw: bytes, at: int) -> tuple[int, int]:
    """Return the number that begins somewhere, and where it ends.

    Raises:
        IndexError: it ends too early; ValueError: it is too large.
    """
    byte = raw[at]
    at += 1
    if byte < 0x80:
        return byte, at
    number, shift = byte & 0x7F, 7
    while True:
        byte = raw[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, at
        shift += 7
        if shift > _MOST_BITS:
            raise ValueError("a number is too large")
