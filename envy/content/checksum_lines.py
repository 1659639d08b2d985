"""The lines of checksum files, in the format of coreutils; BSD's is read, too.

Pure. Names are paths as `os.fsdecode` gives them; a line is bytes, so that any name has one.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

# By the name on the command line; the number of hexadecimal digits of each.
ALGORITHMS = {"sha256": 64, "sha512": 128, "blake3": 64, "sha1": 40, "md5": 32}
_BY_LENGTH = {64: "sha256", 128: "sha512", 40: "sha1", 32: "md5"}
_ESCAPES = {"\\": "\\\\", "\n": "\\n", "\r": "\\r"}
_ESCAPED = re.compile(r"\\(.?)", re.DOTALL)
_MEANING = {"\\": "\\", "n": "\n", "r": "\r"}
_PLAIN_LINE = re.compile(r"(\\?)([0-9A-Fa-f]{32,128}) [ *](.+)", re.DOTALL)
_TAGGED_LINE = re.compile(r"(\\?)([A-Z0-9-]+) \((.+)\) = ([0-9A-Fa-f]{32,128})", re.DOTALL)


@dataclass(frozen=True, slots=True)
class ListedChecksum:
    """A line of a checksum file: the digest that a file should have."""

    path: str
    algorithm: str
    digest: str


def checksum_line(path: str, digest: str) -> bytes:
    """Return the line for a file, without its end.

    A name with a backslash or a line end is escaped, which a backslash before the digest says.
    """
    name = escaped_name(path)
    begin = "" if name == path else "\\"
    return os.fsencode(f"{begin}{digest}  {name}")


def escaped_name(path: str) -> str:
    """Return a name in one line: a backslash and line ends are escaped."""
    if "\\" in path or "\n" in path or "\r" in path:
        return "".join(_ESCAPES.get(sign, sign) for sign in path)
    return path


def listed_checksum(line: bytes, algorithm: str = "") -> ListedChecksum | None:
    """Return what a line says; None if it is not a line of a checksum file.

    Without an algorithm, a tag or the length of the digest decides: 64 digits are sha256.
    """
    text = os.fsdecode(line.rstrip(b"\r\n"))
    found = _PLAIN_LINE.fullmatch(text)
    if found:
        is_escaped, digest, name = found.groups()
        algorithm = algorithm or _BY_LENGTH.get(len(digest), "")
    else:
        found = _TAGGED_LINE.fullmatch(text)
        if found is None:
            return None
        is_escaped, tag, name, digest = found.groups()
        algorithm = tag.lower().replace("-", "")
    if is_escaped:
        name = _unescaped(name)
    if not name or "\0" in name or ALGORITHMS.get(algorithm) != len(digest):
        return None
    return ListedChecksum(name, algorithm, digest.lower())


def _unescaped(name: str) -> str:
    """Return an escaped name; "" if it has an escape that means nothing."""
    if any(found[1] not in _MEANING for found in _ESCAPED.finditer(name)):
        return ""
    return _ESCAPED.sub(lambda found: _MEANING[found[1]], name)
