"""Answers with the content of blobs are read as protobuf reads them, whatever they hold."""

import hashlib
import random

import pytest

pytest.importorskip("grpc", reason="grpcio, of the extra remote, is missing")
pytest.importorskip("buildgrid.common", reason="buildgrid-common, of the extra remote, is missing")

from buildgrid.common.protos.build.bazel.remote.execution.v2 import (
    remote_execution_pb2 as reapi,
)
from buildgrid.common.protos.google.bytestream import bytestream_pb2
from google.protobuf.message import DecodeError

from envy.sharing.remote.raw_answers import ReadBlob, blobs_of_batch, data_of_part


def by_protobuf(raw):
    answer = reapi.BatchReadBlobsResponse.FromString(raw)
    return [ReadBlob(row.digest.hash, row.status.code, row.data) for row in answer.responses]


def outcome(read, raw):
    try:
        return read(raw)
    except DecodeError:
        return "damaged"


def row(data):
    name = hashlib.sha256(data).hexdigest()
    digest = reapi.Digest(hash=name, size_bytes=len(data))
    return reapi.BatchReadBlobsResponse.Response(digest=digest, data=data)


def answers(chance):
    """Yield answers of servers, from the usual one to the strange ones."""
    sizes = (0, 1, 127, 128, 20_000)
    plain = [row(chance.randbytes(size)) for size in sizes]
    with_status = [row(b"a"), row(b"b")]
    for one in with_status:
        one.status.SetInParent()
    missing = row(b"c")
    missing.status.code, missing.status.message = 5, "gone"
    unnamed = reapi.BatchReadBlobsResponse.Response(data=b"x")
    named_otherwise = reapi.BatchReadBlobsResponse.Response(digest=reapi.Digest(hash="abc"))
    for rows in (
        [], plain, with_status, [*plain, missing], [unnamed], [named_otherwise], plain[:1],
    ):  # fmt: skip
        yield reapi.BatchReadBlobsResponse(responses=rows).SerializeToString()
    yield plain[1].SerializeToString()  # another message
    raw = b"\x20\x01" + row(b"d").SerializeToString() + b"\x28\x01"  # with fields of later versions
    yield b"\x0a" + bytes([len(raw)]) + raw


def test_blobs_of_a_batch():
    """Whole, cut and changed answers have the rows that protobuf finds, or are damaged."""
    chance = random.Random(16)
    for raw in answers(chance):
        assert outcome(blobs_of_batch, raw) == outcome(by_protobuf, raw)
        for _ in range(150):
            changed = bytearray(
                raw[: chance.randrange(len(raw) + 1)] if chance.random() < 0.3 else raw
            )
            for _ in range(chance.randrange(3) if changed else 0):
                at = chance.choice(
                    (chance.randrange(len(changed)), chance.randrange(min(90, len(changed))))
                )
                changed[at] = chance.choice((0, 1, 0x0A, 0x10, 0x12, 0x1A, 0x7F, 0x80, 0xFF))
            assert outcome(blobs_of_batch, bytes(changed)) == outcome(by_protobuf, bytes(changed))


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\x52",
        b"\x52\x00",
        b"\x52\x02ab",
        b"\x52\x03ab",
        b"\x52\x01ab",
        b"\x52\x01a\x52\x01b",
        b"\x52" + b"\xff" * 100_000,
        bytestream_pb2.ReadResponse(data=b"x" * 70_000).SerializeToString(),
    ],
)
def test_the_data_of_a_part(raw):
    """The same holds for the parts of a stream."""
    assert outcome(data_of_part, raw) == outcome(
        lambda raw: bytestream_pb2.ReadResponse.FromString(raw).data, raw
    )
