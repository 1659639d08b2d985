"""Which digest a checksum file lists for a file, and what is wrong with others."""

import pytest

from envy.declarations.sources import parse_source_item
from envy.errors import DeclarationError, FetchError
from envy.transport.checksum_file import digest_in

A, B = "a" * 64, "b" * 64
LONG = "c" * 128


@pytest.mark.parametrize(
    "content",
    [
        f"{A}  f.tgz\n{B}  g.tgz\n",
        f"{B}  g.tgz\r\n{A.upper()} *f.tgz\r\n",
        f"SHA256 (f.tgz) = {A}\nSHA512 (f.tgz) = {LONG}\nMD5 (f.tgz) = {'d' * 32}",
        f"{A}  ./f.tgz\n{B}  old/f.tgz\n",
        f"{A}  dist/f.tgz\n",
        f"{A}  f.tgz\n{A}  f.tgz\n{LONG}  f.tgz\n",
        f"-----BEGIN PGP SIGNED MESSAGE-----\n\n# all\n{A}  f.tgz\n-----END",
        A,
        f"  {A}\n",
    ],
)
def test_the_line_of_a_file(content):
    """The forms of coreutils and BSD, in folders or not, repeated, signed, or the digest alone."""
    assert digest_in(content.encode(), "f.tgz", "sha256", uri="u") == A


def test_a_longer_digest():
    """Lines with another algorithm do not count."""
    assert digest_in(f"{A}  f\n{LONG}  f".encode(), "f", "sha512", uri="u") == LONG


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (f"{A}  f.tgz\n{B}  f.tgz", f"2 different digests .sha256. of f.tgz:\n  {A}\n  {B}"),
        (f"{A}  a/f.tgz\n{B}  b/f.tgz", "lists 2 different digests"),
        (f"{A}  f.tar.gz", "u does not list f.tgz; it lists f.tar.gz"),
        (f"{A}  other", r"u does not list f.tgz\n"),
        (f"{LONG}  f.tgz", "u is not a checksum file"),
        (f"{A[1:]}  f.tgz", "u is not a checksum file"),
        ("<html>f.tgz</html>", "it has no line with a digest .sha256. and a name"),
        (f"{A}  f.tgz".replace("  ", "  \0"), "u is not a checksum file"),
        ("", "u is not a checksum file"),
    ],
)
def test_what_is_wrong(content, message):
    """The name is missing or has two digests, or this is something else than a checksum file."""
    with pytest.raises(FetchError, match=message):
        digest_in(content.encode(), "f.tgz", "sha256", uri="u")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"sha256sums": "SHA256SUMS"}, "`sha256sums` must be the address of a checksum file"),
        ({"sha256sums": ""}, "sha256sums"),
        ({"sha512sums": "file:///SUMS"}, "`sha512sums` must be the address"),
        ({"sha256sums": 1}, "sha256sums"),
        ({"source": "npm:a@1", "sha256sums": "https://h/s"}, "is for http:, https: and s3:"),
    ],
)
def test_a_wrong_declaration(tmp_path, given, message):
    """Only an address of the network is one of a checksum file."""
    with pytest.raises(DeclarationError, match=message):
        parse_source_item({"source": "https://h/f", **given}, origin=None, base_dir=tmp_path)
    with pytest.raises(DeclarationError) as caught:
        parse_source_item(
            {"source": "https://h/f", "sha256sums": A}, origin=None, base_dir=tmp_path
        )
    assert caught.value.hint == "a digest belongs into `sha256`"
