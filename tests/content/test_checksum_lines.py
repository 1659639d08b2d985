"""Lines of checksum files: what is written is read again, whatever the name."""

import os
import shutil
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envy.content.checksum_lines import ListedChecksum, checksum_line, listed_checksum

DIGEST = "ab" * 32
NAMES = st.binary(min_size=1, max_size=20).filter(lambda name: b"\0" not in name)


@given(NAMES)
def test_every_name_has_a_line(name):
    """One line without a line end, which says the name again."""
    path = os.fsdecode(name)
    line = checksum_line(path, DIGEST)
    assert b"\n" not in line
    assert b"\r" not in line
    assert listed_checksum(line + b"\r\n") == ListedChecksum(path, "sha256", DIGEST)


@pytest.mark.parametrize(
    ("line", "algorithm", "expected"),
    [
        (f"{DIGEST}  a b", "", ("a b", "sha256")),
        (f"{DIGEST.upper()} *a", "blake3", ("a", "blake3")),
        (f"{'ab' * 64}  a", "", ("a", "sha512")),
        (f"{'ab' * 16}  a", "", ("a", "md5")),
        (f"SHA256 (a) b) = {DIGEST}", "", ("a) b", "sha256")),
        (f"BLAKE3 (a) = {DIGEST}", "", ("a", "blake3")),
        (f"\\SHA-256 (a\\nb) = {DIGEST}", "", ("a\nb", "sha256")),
        (f"\\{DIGEST}  a\\\\b\\n", "", ("a\\b\n", "sha256")),
        (f"{DIGEST}  a\\n", "", ("a\\n", "sha256")),
        (f"\\{DIGEST}  a\\x", "", None),
        (f"\\{DIGEST}  a\\", "", None),
        (f"{DIGEST}  ", "", None),
        (f"{DIGEST} a", "", None),
        (f"{DIGEST[1:]}  a", "", None),
        (f"{DIGEST}  a", "sha512", None),
        (f"{DIGEST[:-1]}g  a", "", None),
        (f"SHA3 (a) = {DIGEST}", "", None),
        (f"{DIGEST}  a\0b", "", None),
        ("# a comment", "", None),
    ],
)
def test_lines_of_other_programs(line, algorithm, expected):
    """coreutils and BSD are understood; what is neither is None."""
    found = listed_checksum(line.encode(), algorithm)
    assert (found and (found.path, found.algorithm)) == expected
    assert found is None or found.digest in {"ab" * 32, "ab" * 64, "ab" * 16}


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="needs sha256sum")
def test_coreutils_write_the_same(tmp_path):
    """A name with a backslash and a line end, too."""
    for name in ("plain", "a\\b", "a\nb", "é"):
        (tmp_path / name).write_bytes(b"")
        done = subprocess.run(
            ["sha256sum", "--", name], cwd=tmp_path, capture_output=True, check=True
        )
        digest = done.stdout.lstrip(b"\\")[:64].decode()
        assert checksum_line(name, digest) + b"\n" == done.stdout
