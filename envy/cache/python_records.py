"""RECORD files of Python packages, which have the digest and the size of each installed file.

They follow what relocation has rewritten, the scripts in `bin` for example: tools that check or
remove installed packages compare them.
"""

import base64
import hashlib
import posixpath
from collections.abc import Mapping

_NAME = "RECORD"
_FOLDER = ".dist-info"
_FIELDS = 3


def is_record(path: str) -> bool:
    """Return whether a file of a payload is the RECORD of a Python package."""
    above, _, name = path.rpartition("/")
    return name == _NAME and above.endswith(_FOLDER)


def digest_in_record(data: bytes) -> bytes:
    """Return the digest of a file as a RECORD has it."""
    return b"sha256=" + base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=")


def with_new_digests(
    path: str, data: bytes, changed: Mapping[str, tuple[bytes, bytes, int]]
) -> bytes:
    """Return a RECORD that knows the new content of files.

    `path` is that of the RECORD in its payload; `changed` has the former and the new digest and the
    new size of files, by their path in the payload. A digest that was wrong before stays.
    """
    base = posixpath.dirname(posixpath.dirname(path))
    return b"".join(_line(line, base, changed) for line in data.splitlines(keepends=True))


def _line(line: bytes, base: str, changed: Mapping[str, tuple[bytes, bytes, int]]) -> bytes:
    fields = line.rsplit(b",", _FIELDS - 1)
    if len(fields) != _FIELDS:
        return line
    name, digest, rest = fields
    written = name.decode("utf-8", "surrogateescape")
    if written.startswith('"'):
        written = written[1:].removesuffix('"').replace('""', '"')
    old, new, size = changed.get(posixpath.normpath(posixpath.join(base, written)), (b"", b"", 0))
    if not old or digest != old:
        return line
    ending = rest[len(rest.rstrip(b"\r\n")) :]
    return b",".join((name, new, str(size).encode("ascii"))) + ending
