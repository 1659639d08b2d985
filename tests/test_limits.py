"""Limits: their values, how they are raised, and their table in the documentation."""

import re
from pathlib import Path

import pytest

from envy.errors import EnvyError, FetchError
from envy.limits import ARCHIVE_HEADER, LIMITS, adopt_limits, parse_limits

DOCS = Path(__file__).parent.parent / "docs"


@pytest.fixture(autouse=True)
def _default_limits():
    yield
    adopt_limits({})


def test_every_limit_is_documented_once():
    """docs/commands.md has one row for each limit, with its default."""
    lines = (DOCS / "commands.md").read_text(encoding="utf-8").splitlines()
    for limit in LIMITS.values():
        row = f"| `{limit.name}` | {limit.shown} | {limit.what} |"
        assert [line for line in lines if f"`{limit.name}` |" in line] == [row]


def test_limits_are_parsed():
    """Values are numbers or sizes; blanks do not matter."""
    assert parse_limits("") == {}
    assert parse_limits(" git-submodules = 5000, lua-memory=2G,") == {
        "git-submodules": 5000,
        "lua-memory": 2 << 30,
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("jobs=5", "there is no limit 'jobs'"),
        ("lua-memory", "'' is not a valid value for lua-memory; write 500M, 2G or a number"),
        ("lua-memory=-1", "'-1' is not a valid value for lua-memory; write 500M, 2G or a number"),
        ("lua-memory=0", "'0' is not a valid value for lua-memory; write 500M, 2G or a number"),
        (
            "lua-memory=9999999999999G",
            "'9999999999999G' is not a valid value for lua-memory; write 500M, 2G or a number",
        ),
        (
            "lua-memory=" + "9" * 5000,
            f"'{'9' * 5000}' is not a valid value for lua-memory; write 500M, 2G or a number",
        ),
        ("lua-memory=²", "'²' is not a valid value for lua-memory; write 500M, 2G or a number"),
    ],
)
def test_invalid_limits(text, message):
    """An unknown name and an invalid value are errors that say so."""
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        parse_limits(text)
    assert str(caught.value) == message


def test_a_raised_limit_is_the_one_that_errors_name():
    """The hint of an error names twice the limit of this run."""
    assert (ARCHIVE_HEADER.value, ARCHIVE_HEADER.shown) == (1 << 20, "1 MiB")
    adopt_limits({"archive-header": 1000})
    assert (ARCHIVE_HEADER.value, ARCHIVE_HEADER.shown) == (1000, "1000 bytes")
    assert ARCHIVE_HEADER.hint.endswith("ENVY_LIMITS=archive-header=2000")
    assert LIMITS["git-submodules"].shown == "1000 submodules"


def test_the_text_of_an_error_is_shortened_between_words():
    """Of a very long text, head and tail are kept, and no word is cut in two."""
    words = [f"word{number}" for number in range(100_000)]
    error = FetchError(" ".join(words), uri="u", hint=" ".join(words))
    for text in (error.message, error.hint, str(error)):
        assert len(text) < 150_000
        assert set(text.split()) - {"…", "hint:"} < {*words, *["are", "left", "out", "here"]} | {
            part for part in text.split() if part.isdigit() or part == "characters"
        }
    assert error.message.startswith("word0 word1 ")
    assert error.message.endswith(" word99998 word99999")
    left_out = int(error.message.partition("… ")[2].split()[0])
    assert len(" ".join(words)) - left_out < len(error.message)


def test_a_long_text_without_spaces_is_shortened():
    """A text that is one word is cut."""
    assert len(str(EnvyError("x" * 1_000_000))) < 70_000
