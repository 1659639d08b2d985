"""Verifying the signature of a fetched file, in the format of minisign.

Owns the format: a comment, the signature, a trusted comment, and the signature of both. A file is
signed by its BLAKE2b-512 digest ("ED"), or as a whole by older programs ("Ed").
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from envy.content.plain_file import NotPlain, read_plain
from envy.declarations.signature import Signature
from envy.declarations.sources import Scheme, SourceItem, scheme_of
from envy.errors import FetchError
from envy.extras import missing_extra
from envy.limits import SIGNED_FILE
from envy.transport.addresses import redacted
from envy.transport.companion import Fetch, companion_of, read_companion
from envy.transport.context import FetchContext, Fetched

_UNTRUSTED, _TRUSTED = b"untrusted comment: ", b"trusted comment: "
_HASHED, _WHOLE = b"ED", b"Ed"
_SIGNATURE = 64
_LONGEST = 1 << 16  # bytes of a signature file, of which all but the comments have a fixed size


class WrongSignature(FetchError):
    """A file has a signature, and it is not one of that file by the declared key."""


@dataclass(frozen=True, slots=True)
class SignatureFile:
    """What a signature file holds; `line` is its decoded second line, which has three parts."""

    line: bytes
    comment: bytes
    overall: bytes

    @property
    def algorithm(self) -> bytes:
        return self.line[:2]

    @property
    def key_number(self) -> bytes:
        return self.line[2:10]

    @property
    def signature(self) -> bytes:
        return self.line[10:]


def signature_source(item: SourceItem, signature: Signature) -> SourceItem:
    """Return the source of the signature of a source."""
    source = signature.source
    if scheme_of(item.source) is Scheme.S3:
        source = source or f"{item.source}.minisig"
    elif not source:
        address, rest = re.fullmatch(r"([^?#]*)(.*)", item.source, re.DOTALL).groups()  # type: ignore[union-attr]
        source = f"{address}.minisig{rest}"
    return companion_of(item, source, "signature")


def check_signature(
    item: SourceItem, fetched: Fetched, fetch: Fetch, context: FetchContext
) -> None:
    """Fetch the signature of a file that was fetched, and verify it.

    Raises:
        FetchError: the signature is missing, or is not one of the file by the declared key;
            UsageError: the library that verifies it is not installed.
    """
    signature = item.signature
    if signature is None:
        return
    uri = redacted(item.source)
    if not fetched.sha256:
        raise FetchError(f"{uri} is a folder, and a folder has no signature", uri=uri)
    content = _read_signature(item, signature, fetch, context)
    verify_signature(fetched.path, content, signature, uri=uri)


def check_companion(
    item: SourceItem, signature: Signature, text: bytes, fetch: Fetch, context: FetchContext
) -> None:
    """Fetch the signature of a small file, whose content is `text`, and verify it.

    Raises:
        FetchError, UsageError: as for `check_signature`.
    """
    content = _read_signature(item, signature, fetch, context)
    verify_text(text, content, [signature], uri=redacted(item.source))


def _read_signature(
    item: SourceItem, signature: Signature, fetch: Fetch, context: FetchContext
) -> bytes:
    uri = redacted(item.source)

    def too_large() -> FetchError:
        return _refused(uri, "is not a signature file of minisign: it is too large")

    source = signature_source(item, signature)
    return read_companion(source, fetch, context, _LONGEST, too_large)


def parse_signature_file(content: bytes) -> SignatureFile | None:
    """Return what a signature file holds; None if it is not one."""
    if len(content) > _LONGEST:
        return None
    lines = content.replace(b"\r\n", b"\n").removesuffix(b"\n").split(b"\n")
    if len(lines) != 4 or not lines[0].startswith(_UNTRUSTED) or not lines[2].startswith(_TRUSTED):
        return None
    try:
        line = base64.b64decode(lines[1], validate=True)
        overall = base64.b64decode(lines[3], validate=True)
    except (binascii.Error, ValueError):
        return None
    if len(line) != 10 + _SIGNATURE or len(overall) != _SIGNATURE:
        return None
    return SignatureFile(line, lines[2].removeprefix(_TRUSTED), overall)


def _verify(
    content: bytes, signature: Signature, signed: Callable[[bytes], bytes], *, uri: str
) -> None:
    try:
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    except ImportError as error:
        raise missing_extra("verifying a signature", "cryptography", "minisign") from error
    found = parse_signature_file(content)
    if found is None or found.algorithm not in {_HASHED, _WHOLE}:
        raise _refused(uri, "is not a signature file of minisign")
    number, raw = signature.key
    if found.key_number != number:
        raise _refused(
            uri,
            f"is by the key {shown_number(found.key_number)}, and not by {shown_number(number)}",
        )
    key = Ed25519PublicKey.from_public_bytes(raw)
    try:
        key.verify(found.signature, signed(found.algorithm))
        key.verify(found.overall, found.signature + found.comment)
    except InvalidSignature:
        raise _refused(uri, "does not fit its content") from None


def verify_text(text: bytes, content: bytes, keys: Sequence[Signature], *, uri: str) -> None:
    """Check that a signature file's content is a signature of `text`, by one of the keys.

    Raises:
        FetchError: it is not; UsageError: the library that checks it is not installed.
    """
    found = parse_signature_file(content)
    by = [key for key in keys if found is not None and key.key[0] == found.key_number]
    if found is not None and not by and len(keys) > 1:
        known = ", ".join(shown_number(key.key[0]) for key in keys)
        raise _refused(
            uri, f"is by the key {shown_number(found.key_number)}, and by none of these: {known}"
        )

    def signed(algorithm: bytes) -> bytes:
        return hashlib.blake2b(text).digest() if algorithm == _HASHED else text

    _verify(content, (by or keys)[0], signed, uri=uri)


def verify_signature(path: Path, content: bytes, signature: Signature, *, uri: str) -> None:
    """Check that a signature file's content is a signature of a file, by the declared key.

    Raises:
        FetchError: it is not; UsageError: the library that checks it is not installed.
    """
    _verify(content, signature, lambda algorithm: _signed(path, algorithm, uri), uri=uri)


def _signed(path: Path, algorithm: bytes, uri: str) -> bytes:
    """Return what is signed of a file."""
    if algorithm == _HASHED:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "blake2b").digest()
    try:
        return read_plain(str(path), SIGNED_FILE)
    except NotPlain as error:
        raise FetchError(
            f"{uri} is signed in minisign's old form, and {error}",
            uri=uri,
            hint=error.limit.hint if error.limit else "",
        ) from None


def shown_number(number: bytes) -> str:
    """Return the number of a key as minisign shows it."""
    return number[::-1].hex().upper()


def _refused(uri: str, why: str) -> WrongSignature:
    return WrongSignature(
        f"the signature of {uri} {why}",
        uri=uri,
        hint="the file or the signature was replaced or damaged; do not use it unless you know why",
    )
