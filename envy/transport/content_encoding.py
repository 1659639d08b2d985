"""Content that a server encoded although envy requests it without an encoding.

Owns the decision whether the encoding is part of the file: many servers call a `.tar.gz` a tar
that is gzip-encoded, and others compress what they send without being asked.
"""

import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from envy.content.archive import decompress_file
from envy.content.atomic import temporary_beside
from envy.content.unpacked_size import UnpackedSize, UnpackedTooLarge
from envy.errors import ArchiveError, FetchError
from envy.limits import DECODED_DOWNLOAD
from envy.transport.context import cannot_write
from envy.transport.digests import ExpectedDigest, Hasher

_CHUNK = 1 << 18
# Amazon S3 keeps this value of an upload, although it is not an encoding of the content.
_NONE = frozenset({"", "identity", "aws-chunked"})
_SUFFIXES = {
    "gzip": (".gz", ".tgz", ".taz", ".crate", ".svgz"),
    "zstd": (".zst", ".tzst"),
    "br": (".br",),
    "deflate": (".zz",),
    "compress": (".z",),
}
_MAGIC = {"gzip": b"\x1f\x8b", "zstd": b"\x28\xb5\x2f\xfd"}


def encoding_of(header: str) -> str:
    """Return the encoding that a Content-Encoding header names, or ""."""
    names = [name.strip().lower().removeprefix("x-") for name in header.split(",")]
    return ", ".join(name for name in names if name not in _NONE)


def settle(
    part: Path,
    hasher: Hasher,
    encoding: str,
    *,
    name: str,
    expected: Sequence[ExpectedDigest],
    uri: str,
) -> Hasher:
    """Decode the file `part` unless its encoding belongs to it; return the digests of the content.

    With digests, the form that has them is kept. Without, the form is kept as sent if the file's
    name says that it is compressed in this way, or if it is not.

    Raises:
        FetchError: the content cannot be decoded, or is larger than its limit.
    """
    belongs = name.lower().endswith(_SUFFIXES.get(encoding, ())) or not _begins_as(encoding, part)
    if hasher.matches() if expected else belongs:
        return hasher
    with temporary_beside(part) as decoded:
        try:
            _decode(encoding, part, decoded)
        except UnpackedTooLarge as error:
            raise FetchError(
                f"{uri} came with Content-Encoding {encoding}, and is larger than "
                f"{DECODED_DOWNLOAD.shown} when it is decoded, the limit {DECODED_DOWNLOAD.name}",
                uri=uri,
                hint=DECODED_DOWNLOAD.hint,
            ) from error
        except (ArchiveError, zlib.error, EOFError, OSError) as error:
            system = error if isinstance(error, OSError) else error.__cause__
            if isinstance(system, OSError) and system.errno is not None:
                raise cannot_write(uri, decoded, system) from error
            if expected:
                return hasher
            raise FetchError(
                f"{uri} came with Content-Encoding {encoding}, and cannot be decoded: {error}",
                uri=uri,
                hint="declare the digest of the file, with or without that encoding",
            ) from error
        found = Hasher(expected)
        with decoded.open("rb") as file:
            while data := file.read(_CHUNK):
                found.update(data)
        if expected and belongs and not found.matches():
            return hasher
        decoded.replace(part)
    return found


def _begins_as(encoding: str, path: Path) -> bool:
    magic = _MAGIC.get(encoding, b"")
    with path.open("rb") as file:
        head = file.read(len(magic) or 1)
    return bool(head) and head.startswith(magic)


def _decode(encoding: str, source: Path, target: Path) -> None:
    size = UnpackedSize(DECODED_DOWNLOAD)
    if encoding in _MAGIC:
        decompress_file(source, target, size)
    elif encoding == "deflate":
        with source.open("rb") as reading, target.open("wb") as writing:
            for data in inflated(reading):
                size.add(len(data), source)
                writing.write(data)
    else:
        raise EOFError("envy does not know this encoding")


def inflated(reading: BinaryIO, most: int | None = None) -> Iterator[bytes]:
    """Yield deflated data, with zlib's header or, as some servers send it, without.

    With `most`, the data is cut after so many bytes.
    """
    head = reading.read(2)
    reading.seek(0)
    has_header = len(head) == 2 and head[0] & 15 == 8 and int.from_bytes(head, "big") % 31 == 0
    inflater = zlib.decompressobj(zlib.MAX_WBITS if has_header else -zlib.MAX_WBITS)
    size = 0
    while not inflater.eof and (most is None or size < most):
        data = inflater.unconsumed_tail or reading.read(_CHUNK)
        found = inflater.decompress(data, _CHUNK if most is None else min(_CHUNK, most - size))
        if not data and not found:
            raise EOFError("the content is incomplete")
        size += len(found)
        yield found
