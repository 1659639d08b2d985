"""Headers are texts, and secrets are named by their variables."""

import pytest

from envy.declarations.request_headers import RequestHeader, parse_headers
from envy.errors import DeclarationError


def test_headers_and_auth():
    """Names are compared without case; a secret is the name of a variable."""
    table = {"auth": {"env": "TOKEN"}, "headers": {"X-B": {"env": "B_"}, "Accept": "a/b"}}
    assert parse_headers(table, origin=None) == (
        RequestHeader(name="accept", value="a/b"),
        RequestHeader(name="authorization", variable="TOKEN"),
        RequestHeader(name="x-b", variable="B_"),
    )
    assert parse_headers({"headers": {"Authorization": {"env": "A"}}}, origin=None) == (
        RequestHeader(name="authorization", variable="A"),
    )
    assert parse_headers({}, origin=None) == ()


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ({"auth": "s3cr3t"}, r'`auth` must be \{ env = "NAME" \}'),
        ({"auth": {"env": "A B"}}, "`auth` must be"),
        ({"auth": {"env": "A", "x": 1}}, "`auth` must be"),
        ({"headers": "x"}, "`headers` must be a table of headers"),
        ({"headers": ["x"]}, "`headers` must be a table of headers"),
        ({"headers": {"a b": "x"}}, "a name that is none of a header"),
        ({"headers": {"a\r\nb": "x"}}, "a name that is none of a header"),
        ({"headers": {1: "x"}}, "a name that is none of a header"),
        ({"headers": {"Range": "x"}}, "Range, which envy sets itself"),
        ({"headers": {"X": "a\r\nb: c"}}, "the header X must have a text of one line"),
        ({"headers": {"X": "ä"}}, "the header X must have"),
        ({"headers": {"X": ""}}, "the header X must have"),
        ({"headers": {"X": 3}}, "the header X must have"),
        ({"headers": {"X": {"env": ""}}}, "`X` must be"),
        ({"headers": {"Authorization": "Bearer s3cr3t"}}, "no place for a secret"),
        ({"headers": {"x": "1", "X": "2"}}, "has X twice"),
        ({"auth": {"env": "A"}, "headers": {"AUTHORIZATION": {"env": "B"}}}, "either `auth` or"),
    ],
)
def test_wrong_headers(table, says):
    """What cannot be sent, or would be a secret in a recipe, is an error that does not show it."""
    with pytest.raises(DeclarationError, match=says) as caught:
        parse_headers(table, origin=None)
    assert "s3cr3t" not in str(caught.value)
