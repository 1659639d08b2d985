"""Dotenv files: variables of a project."""

import os
from pathlib import Path

import pytest

from envy.declarations.dotenv import parse_dotenv, read_dotenv
from envy.errors import ManifestError

FILE = Path("/project/.env")


@pytest.mark.parametrize(
    ("text", "variables"),
    [
        ("", {}),
        ("# A=1\n\n  \nA=1", {"A": "1"}),
        ("A=1\r\nB=2\r\n", {"A": "1", "B": "2"}),
        ("export A=1\nexport  B = 2 ", {"A": "1", "B": "2"}),
        ("A=\nB= # nothing\nC=#x", {"A": "", "B": "", "C": ""}),
        ("A=a b  # comment\nB=a#b", {"A": "a b", "B": "a#b"}),
        ("A=x=y", {"A": "x=y"}),
        ("A='a # b' # comment\nB=\" x \"", {"A": "a # b", "B": " x "}),
        ('A=\'a\\nb\'\nB="a\\nb\\"\\\\\\$\\q"', {"A": "a\\nb", "B": 'a\nb"\\$\\q'}),
        ("A='one\ntwo'\nB=\"1\r\n2\"", {"A": "one\ntwo", "B": "1\n2"}),
        ('A=$HOME\nB="${A}"', {"A": "$HOME", "B": "${A}"}),
        ("A=1\nA=2", {"A": "2"}),
        ("A=ü", {"A": "ü"}),
    ],
)
def test_variables(text, variables):
    """Values are literal, quotes protect spaces and comments, and the last of equal names wins."""
    assert parse_dotenv(text, FILE) == variables


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("A", "/project/.env:1: 'A' is not a variable"),
        ("\n1A=x", "/project/.env:2: '1A=x' is not a variable"),
        ("A B=x", "/project/.env:1: 'A B=x' is not a variable"),
        ("Ä=x", "is not a variable"),
        ("A='x", "/project/.env:1: the closing ' is missing"),
        ('B=1\nA="x\n\n', '/project/.env:2: the closing " is missing'),
        ("A='x' y", "/project/.env:1: there is text after the closing '"),
        ("PATH=/bin", "/project/.env:1: PATH cannot be set for the project"),
        ("A=\0", "/project/.env:1: the value of A contains a NUL character"),
    ],
)
def test_invalid_lines(text, message):
    """An invalid line is an error with its number."""
    with pytest.raises(ManifestError) as error:
        parse_dotenv(text, FILE)
    assert message in str(error.value)


def test_a_file_is_read(tmp_path):
    """A missing file has no variables; a mark at the beginning is ignored."""
    assert read_dotenv(tmp_path / ".env") == {}
    (tmp_path / ".env").write_bytes(b"\xef\xbb\xbfA=1\n")
    assert read_dotenv(tmp_path / ".env") == {"A": "1"}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: path.mkdir(), "is not a regular file"),
        (os.mkfifo, "is not a regular file"),
        (lambda path: path.write_bytes(b"A=\xff"), "is not UTF-8"),
        (lambda path: path.write_bytes(b"#" * 1048577), "more than 1048576 bytes"),
    ],
)
def test_a_file_that_cannot_be_read(tmp_path, make, message):
    """A folder, a pipe, other bytes and a huge file are errors that name the file."""
    make(tmp_path / ".env")
    with pytest.raises(ManifestError, match=message) as error:
        read_dotenv(tmp_path / ".env")
    assert str(tmp_path / ".env") in str(error.value)
