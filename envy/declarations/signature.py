"""The field `signature` of a source: the key that must have signed its file.

Owns the form of minisign's public keys. Verifies nothing: see `transport.minisign`.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from envy.declarations import fields
from envy.declarations.http_address import is_http_address
from envy.errors import DeclarationError, SourceLocation
from envy.masking import remember_address

_ALGORITHM = b"Ed"
_SIZES = (2, 8, 32)  # bytes: algorithm, number of the key, key


@dataclass(frozen=True, slots=True)
class Signature:
    """A public key of minisign, as its file has it, and where the signature is.

    Without a `source`, that is the address of the file with `.minisig` appended.
    """

    minisign: str
    source: str = ""

    @property
    def pin(self) -> str:
        """One text for the key, for what identifies a source."""
        return f"minisign:{self.minisign}"

    @property
    def key(self) -> tuple[bytes, bytes]:
        """The number of the key, and the key itself."""
        raw = base64.b64decode(self.minisign)
        return raw[2:10], raw[10:]


def parse_signature(value: object, *, origin: SourceLocation | None) -> Signature | None:
    """Return the signature of a source's table; None if the field is missing.

    Raises:
        DeclarationError: it is not a table with a valid key.
    """
    if value is None:
        return None
    if not isinstance(value, dict):
        raise fields.wrong_type("signature", value, "a table { minisign = KEY }", origin=origin)
    table = cast("Mapping[str, object]", value)
    fields.check_known(value, frozenset({"minisign", "source"}), what="signature", origin=origin)
    key = fields.text(table, "minisign", origin=origin).strip()
    if not _is_key(key):
        raise DeclarationError(
            f"`signature.minisign` is not a public key of minisign: {key or 'it is missing'}",
            origin=origin,
            hint="it is the second line of the file minisign.pub, 56 characters",
        )
    source = fields.text(table, "source", origin=origin)
    if "@" in source:
        remember_address(source)
    if source[:4].lower() == "http" and ":" in source and not is_http_address(source):
        raise DeclarationError(
            f'`signature.source` is not of the form https://HOST/PATH: "{source}"', origin=origin
        )
    return Signature(key, source)


def _is_key(text: str) -> bool:
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return False
    return len(raw) == sum(_SIZES) and raw.startswith(_ALGORITHM)
