"""Signing with secret keys of minisign."""

import base64
import os

import pytest

from envy.declarations.signature import Signature
from envy.errors import FetchError, UsageError
from envy.sharing.signing import signer
from envy.transport.minisign import shown_number, verify_text

pytest.importorskip("cryptography")


def new_key(folder, name="key", *, change=lambda raw: raw):
    """Write a secret key; return its path, and the public key."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key, number = Ed25519PrivateKey.generate(), os.urandom(8)
    public = key.public_key().public_bytes_raw()
    raw = b"Ed\0\0B2" + bytes(48) + number + key.private_bytes_raw() + public + bytes(32)
    path = folder / name
    path.write_text(f"untrusted comment: x\n{base64.b64encode(change(raw)).decode()}\n")
    path.chmod(0o600)
    return path, Signature(base64.b64encode(b"Ed" + number + public).decode())


def test_a_signature_is_verified(tmp_path):
    """What one key signs, only that key verifies, and only that text."""
    path, public = new_key(tmp_path)
    _, other = new_key(tmp_path, "other")
    by = signer(path)
    assert Signature(by.public).key == public.key
    assert by.number == shown_number(public.key[0])
    signature = by(b"text")
    verify_text(b"text", signature, [other, public], uri="u")
    with pytest.raises(FetchError, match="does not fit its content"):
        verify_text(b"texT", signature, [public], uri="u")
    with pytest.raises(FetchError, match="is by the key"):
        verify_text(b"text", signature, [other], uri="u")
    with pytest.raises(FetchError, match="by none of these"):
        verify_text(b"text", signature, [other, new_key(tmp_path, "third")[1]], uri="u")
    with pytest.raises(FetchError, match="is not a signature file"):
        verify_text(b"text", b"nonsense", [public], uri="u")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda raw: raw[:-1], "is not a secret key of minisign"),
        (lambda raw: b"XX" + raw[2:], "is not a secret key of minisign"),
        (lambda raw: raw[:2] + b"Sc" + raw[4:], "is encrypted, and envy asks for no password"),
        (lambda raw: raw[:-1] + b"x", "is damaged"),
        (lambda raw: raw[:62] + bytes(32) + raw[94:], "is damaged"),
    ],
    ids=["short", "algorithm", "encrypted", "digest", "pair"],
)
def test_bad_keys(tmp_path, change, said):
    """A file that is no usable key is named, with how to make one."""
    path, _ = new_key(tmp_path, change=change)
    with pytest.raises(UsageError, match=said) as caught:
        signer(path)
    assert "minisign" in caught.value.hint


def test_a_key_that_others_can_read(tmp_path):
    """A secret that everybody can read is none."""
    path, _ = new_key(tmp_path)
    path.chmod(0o640)
    with pytest.raises(UsageError, match="can be read by other users"):
        signer(path)
