"""The fields of a source that say which digest its file has, or which checksum file lists it.

Owns the form of digests and of the addresses of checksum files. Opens no connection.
"""

import re
from collections.abc import Mapping

from envy.declarations import fields
from envy.errors import DeclarationError, SourceLocation
from envy.masking import remember_address

DIGEST_LENGTHS = {"sha256": 64, "blake3": 64, "sha512": 128}  # hexadecimal digits, by field
CHECKSUM_FIELDS = {"sha256sums": "sha256", "sha512sums": "sha512"}  # the algorithm of each

_HEXADECIMAL = re.compile(r"[0-9a-f]+")
_ADDRESS = re.compile(r"https?://[^/\s]+/\S|s3://[^/\s]+/\S", re.IGNORECASE)


def digest(table: Mapping[str, object], name: str, *, origin: SourceLocation | None) -> str:
    """Return a field that is a digest, in lower case; "" if it is missing."""
    given = fields.text(table, name, origin=origin).strip().lower()
    length = DIGEST_LENGTHS[name]
    if given and (len(given) != length or not _HEXADECIMAL.fullmatch(given)):
        characters = "1 character" if len(given) == 1 else f"{len(given)} characters"
        raise DeclarationError(
            f"`{name}` must be {length} hexadecimal digits, not {characters}: {given}",
            origin=fields.field_origin(origin, name),
        )
    return given


def checksum_address(
    table: Mapping[str, object], name: str, *, origin: SourceLocation | None
) -> str:
    """Return a field that is the address of a checksum file; "" if it is missing."""
    given = fields.text(table, name, origin=origin).strip()
    if name in table and not _ADDRESS.match(given):
        digits = DIGEST_LENGTHS[CHECKSUM_FIELDS[name]]
        is_digest = len(given) == digits and _HEXADECIMAL.fullmatch(given.lower())
        raise DeclarationError(
            f'`{name}` must be the address of a checksum file (https://…, s3://…), not "{given}"',
            origin=fields.field_origin(origin, name),
            hint=f"a digest belongs into `{CHECKSUM_FIELDS[name]}`"
            if is_digest
            else f"what is in a file of yours can be written as `{CHECKSUM_FIELDS[name]}`",
        )
    if "@" in given:
        remember_address(given)
    return given
