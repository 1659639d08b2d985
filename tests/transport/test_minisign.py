"""Signatures of minisign: those that the program made, and what is wrong with others.

The key, and the signatures of a file with the text "content", were made by minisign 0.11.
"""

import base64
import hashlib
import shutil
import subprocess
from dataclasses import replace

import pytest
from loopback.http_server import Reply

from envy.cache.downloads import Downloads
from envy.declarations.signature import Signature, parse_signature
from envy.declarations.sources import SourceItem
from envy.errors import DeclarationError, FetchError
from envy.transport import fetch_source
from envy.transport.minisign import parse_signature_file, signature_source, verify_signature

KEY = "RWRZpcF42b/YKn0Se8WTHms1sI9RyClUzAzfjXMU1ne1i5itWYJfJlMg"
OF_DIGEST = b"""untrusted comment: signature from minisign secret key
RURZpcF42b/YKlGFmGxN3B7v2PncdxRxkmV/x4S+BYRtk+OVzDmFnutOQnzInVXX8FaAucuBy2pXdqKWxcq6g+uNmKcglCdL3w4=
trusted comment: file:f
l41R6Q5wgom8zzf8pDohbviHVJ3IHT/TbyKaSmOn8WOvru5ikLOqwJvw0Puv/JotuxiKfQKgMs/2zkcsyZ6ICQ==
"""
OF_CONTENT = b"""untrusted comment: signature from minisign secret key
RWRZpcF42b/YKuaBzvZS0308v8jAOuoGaLJZYvDIKrhN/NGdUzZ0XbNCAuQJBDF7ZaShlQEFCCLMKR9pZqLrDNoRTGkFAKbNQws=
trusted comment: legacy
G5+PRsxjG+HpXnMF8bGaSnPuYPl4pBVOd7JfcTISKsNyQSuQ0DFfzTbcV3bAC4XUb0d/ljMveqlZWuEkcNP5Cw==
"""
OTHER_KEY = base64.b64encode(b"Ed" + bytes(8) + base64.b64decode(KEY)[10:]).decode()
WRONG_KEY = base64.b64encode(base64.b64decode(KEY)[:10] + bytes(31) + b"\1").decode()


@pytest.fixture
def signed(tmp_path):
    path = tmp_path / "f"
    path.write_text("content")
    return path


@pytest.mark.parametrize("content", [OF_DIGEST, OF_CONTENT, OF_DIGEST.replace(b"\n", b"\r\n")])
def test_what_minisign_made(signed, content):
    """Both forms are right; the same signature of other content is not."""
    verify_signature(signed, content, Signature(KEY), uri="u")
    signed.write_text("other")
    with pytest.raises(FetchError, match="the signature of u does not fit its content"):
        verify_signature(signed, content, Signature(KEY), uri="u")


@pytest.mark.parametrize(
    ("content", "key", "message"),
    [
        (b"", KEY, "is not a signature file"),
        (b"<html>", KEY, "is not a signature file"),
        (OF_DIGEST + b"\n" * (1 << 16), KEY, "is not a signature file"),
        (OF_DIGEST.replace(b"RURZ", b"RU*Z"), KEY, "is not a signature file"),
        (OF_DIGEST.replace(b"RURZ", b"RVRZ"), KEY, "is not a signature file"),
        (OF_DIGEST.replace(b"file:f", b"file:g"), KEY, "does not fit its content"),
        (OF_DIGEST.replace(b"RURZ", b"RWRZ"), KEY, "does not fit its content"),
        (OF_DIGEST, OTHER_KEY, "by the key 2AD8BFD978C1A559, and not by 0000000000000000"),
        (OF_DIGEST, WRONG_KEY, "does not fit its content"),
    ],
)
def test_what_is_wrong(signed, content, key, message):
    """A signature file that is damaged, of another key, or whose trusted comment was changed."""
    with pytest.raises(FetchError, match=message):
        verify_signature(signed, content, Signature(key), uri="u")


def test_a_signature_file_has_four_lines():
    """The line, the trusted comment and the signature of both are read."""
    found = parse_signature_file(OF_DIGEST)
    assert found is not None
    assert (found.algorithm, found.comment) == (b"ED", b"file:f")
    assert found.key_number == base64.b64decode(KEY)[2:10]


@pytest.mark.skipif(shutil.which("minisign") is None, reason="needs minisign")
def test_a_signature_that_is_made_now(signed, tmp_path):
    """The installed minisign writes what is understood here."""
    for words in (["-G", "-f", "-W", "-p", "pub", "-s", "sec"], ["-S", "-s", "sec", "-m", "f"]):
        subprocess.run(["minisign", *words], cwd=tmp_path, check=True, stdin=subprocess.DEVNULL)
    key = (tmp_path / "pub").read_text().splitlines()[1]
    content = (tmp_path / "f.minisig").read_bytes()
    verify_signature(signed, content, Signature(key), uri="u")


def test_where_a_signature_is(tmp_path):
    """Beside the file, before a query; or where the recipe says."""
    item = SourceItem(source="https://h/x.zip?token=1#a", base_dir=tmp_path)
    found = signature_source(item, Signature(KEY))
    assert found.source == "https://h/x.zip.minisig?token=1#a"
    assert signature_source(item, Signature(KEY, "https://h/s")).source == "https://h/s"


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("x", "must be a table"),
        ({}, "is not a public key of minisign: it is missing"),
        ({"minisign": "x"}, "is not a public key of minisign: x"),
        ({"minisign": KEY[:-4]}, "is not a public key"),
        ({"minisign": "AAAA" + KEY[4:]}, "is not a public key"),
        ({"minisig": KEY}, 'did you mean "minisign"'),
    ],
)
def test_keys_that_are_not_valid(value, message):
    """A key is checked where it is declared."""
    with pytest.raises(DeclarationError) as raised:
        parse_signature(value, origin=None)
    assert message in str(raised.value)


def test_a_file_without_a_right_signature_does_not_stay(signed, tmp_path, recorder):
    """Neither if the signature is missing, nor if it is wrong; one that is right stays."""
    item = SourceItem(source="f", base_dir=tmp_path, signature=Signature(KEY))
    into = tmp_path / "into"
    for content in (None, OF_DIGEST.replace(b"file:f", b"file:g")):
        if content is not None:
            (tmp_path / "f.minisig").write_bytes(content)
        with pytest.raises(FetchError):
            fetch_source(item, into, recorder.context())
        assert not list(into.iterdir())
    (tmp_path / "f.minisig").write_bytes(OF_DIGEST)
    assert fetch_source(item, into, recorder.context()).path.read_text() == "content"
    folder = SourceItem(source="into", base_dir=tmp_path, signature=Signature(KEY))
    with pytest.raises(FetchError, match="a folder has no signature"):
        fetch_source(folder, tmp_path / "other", recorder.context())


def test_a_download_with_a_wrong_signature_is_kept_aside(http_server, tmp_path, recorder):
    """As with a wrong digest, the error says where it is; a copy of a local file is removed."""
    http_server.routes["/f"] = Reply(b"another content")
    kept = Downloads(str(tmp_path / "cache"))
    into = tmp_path / "into"
    item = SourceItem(
        source=f"{http_server.url}/f", base_dir=tmp_path, signature=Signature(KEY), dest="f"
    )
    with pytest.raises(FetchError, match="does not exist"):
        fetch_source(item, into, recorder.context(kept=kept))
    assert not (tmp_path / "cache").exists()
    (tmp_path / "cache").mkdir()
    http_server.routes["/f.minisig"] = Reply(OF_DIGEST)
    with pytest.raises(FetchError, match="does not fit its content") as caught:
        fetch_source(item, into, recorder.context(kept=kept))
    digest = hashlib.sha256(b"another content").hexdigest()
    path = tmp_path / "cache" / "downloads" / "refused" / digest
    assert caught.value.message.endswith(f"\n  kept as  {path}")
    assert path.read_bytes() == b"another content"
    path.unlink()
    (tmp_path / "f").write_bytes(b"another content")
    (tmp_path / "f.minisig").write_bytes(OF_DIGEST)
    with pytest.raises(FetchError, match="does not fit its content"):
        fetch_source(replace(item, source="f"), into, recorder.context(kept=kept))
    assert list(into.iterdir()) == list(path.parent.iterdir()) == []
