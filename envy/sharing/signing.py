"""Signing with a secret key of minisign, whose file is not encrypted (`minisign -G -W`).

The format is that of minisign: a comment, then in base64 the algorithms `Ed`, that of the
encryption of the key, `B2`, 48 bytes for the encryption, the number of the key, the secret and the
public key of Ed25519, and the BLAKE2b-256 digest of those and of the first algorithm, or zeros.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import stat
import time
from pathlib import Path

from envy.content.plain_file import NotPlain, read_plain
from envy.errors import UsageError
from envy.extras import missing_extra
from envy.limits import Limit
from envy.sharing.place import Signer
from envy.transport.minisign import shown_number

_SIZE = 158
_ENCRYPTED = b"Sc"
_FILE = Limit("secret-key", 1 << 12, "a file with a secret key")
_VARIABLE = "ENVY_DEPOT_KEY"


def signer(path: Path) -> Signer:
    """Return what signs texts with the secret key in a file.

    Raises:
        UsageError: the file is not a secret key, or the library that signs is missing.
    """
    try:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    except ImportError as error:
        raise missing_extra("signing", "cryptography", "minisign") from error
    number, seed, public = _read(path)
    key = Ed25519PrivateKey.from_private_bytes(seed)
    if key.public_key().public_bytes_raw() != public:
        raise UsageError(f"the secret key {path} is damaged", hint=_HOW)

    def sign(text: bytes) -> bytes:
        signature = key.sign(hashlib.blake2b(text).digest())
        comment = f"timestamp:{int(time.time())}\tenvy depot".encode()
        overall = key.sign(signature + comment)
        lines = (
            b"untrusted comment: signature of an entry of an envy depot",
            base64.b64encode(b"ED" + number + signature),
            b"trusted comment: " + comment,
            base64.b64encode(overall),
        )
        return b"\n".join(lines) + b"\n"

    text = base64.b64encode(b"Ed" + number + public).decode("ascii")
    return Signer(shown_number(number), text, sign)


def _read(path: Path) -> tuple[bytes, bytes, bytes]:
    """Return the number of a key, its seed and its public key."""
    try:
        content = read_plain(str(path), _FILE)
    except (OSError, NotPlain) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise UsageError(f"the secret key {path} cannot be read: {reason}", hint=_HOW) from error
    if os.name == "posix" and stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise UsageError(
            f"the secret key {path} can be read by other users", hint=f"chmod 600 {path}"
        )
    lines = content.split(b"\n")
    try:
        raw = base64.b64decode(lines[1], validate=True)
    except (IndexError, binascii.Error, ValueError):
        raw = b""
    if len(raw) != _SIZE or not raw.startswith(b"Ed"):
        raise UsageError(f"{path} is not a secret key of minisign", hint=_HOW)
    if raw[2:4] == _ENCRYPTED:
        raise UsageError(
            f"the secret key {path} is encrypted, and envy asks for no password",
            hint="remove its password: minisign -C -W -s FILE",
        )
    kept = raw[54:]
    digest = hashlib.blake2b(raw[:2] + kept[:72], digest_size=32).digest()
    if raw[2:4] != b"\0\0" or kept[72:] not in {digest, bytes(32)}:
        raise UsageError(f"the secret key {path} is damaged", hint=_HOW)
    return kept[:8], kept[8:40], kept[40:72]


_HOW = f"make one with `minisign -G -W -s FILE`, and name it in {_VARIABLE}"
