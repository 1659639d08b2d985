"""Headers that an author wants in requests, as data: texts, and names of variables for secrets.

A secret is never written into a recipe: it is the value of a variable, which is read when a request
is made. Neither is part of a key, of the lock or of a record.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from envy.declarations import fields
from envy.errors import DeclarationError, SourceLocation

AUTHORIZATION = "authorization"
_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# These decide what a request means; envy sets them itself.
_OWN = frozenset(
    {
        "accept-encoding",
        "connection",
        "content-length",
        "expect",
        "host",
        "if-range",
        "proxy-authorization",
        "range",
        "te",
        "transfer-encoding",
        "upgrade",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestHeader:
    """A header: its name in lower case, and its value, or the variable that has the value."""

    name: str
    value: str = ""
    variable: str = ""


def parse_headers(
    table: Mapping[str, object], *, origin: SourceLocation | None
) -> tuple[RequestHeader, ...]:
    """Return the headers that the fields `auth` and `headers` of a source ask for, by name.

    Raises:
        DeclarationError: a name or a value is not valid.
    """
    found = {}
    if "auth" in table:
        variable = _variable(table["auth"], "auth", origin=origin)
        found[AUTHORIZATION] = RequestHeader(name=AUTHORIZATION, variable=variable)
    given = table.get("headers", {})
    if not isinstance(given, dict):
        raise fields.wrong_type("headers", given, "a table of headers", origin=origin)
    for name, value in given.items():
        header = _header(name, value, origin=origin)
        if header.name in found:
            raise DeclarationError(
                f"`headers` has {name} twice" if header.name != AUTHORIZATION else
                "a source has either `auth` or the header Authorization",
                origin=fields.field_origin(origin, "headers"),
            )  # fmt: skip
        found[header.name] = header
    return tuple(found[name] for name in sorted(found))


def _header(name: object, value: object, *, origin: SourceLocation | None) -> RequestHeader:
    at = fields.field_origin(origin, "headers")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise DeclarationError("`headers` has a name that is none of a header", origin=at)
    if name.lower() in _OWN:
        raise DeclarationError(f"`headers` has {name}, which envy sets itself", origin=at)
    if isinstance(value, dict):
        return RequestHeader(name=name.lower(), variable=_variable(value, name, origin=at))
    if name.lower() == AUTHORIZATION:
        raise DeclarationError(
            "`headers` has the value of Authorization, and a recipe is no place for a secret",
            origin=at,
            hint='write auth = { env = "NAME" }; the variable NAME has the token',
        )
    if not isinstance(value, str) or not is_value(value):
        raise DeclarationError(
            f"the header {name} must have a text of one line without special characters, or "
            '{ env = "NAME" }',
            origin=at,
        )
    return RequestHeader(name=name.lower(), value=value)


def is_value(text: str) -> bool:
    """Return whether a text can be the value of a header."""
    return bool(text) and text.isascii() and text.isprintable() and text == text.strip()


def _variable(value: object, field: str, *, origin: SourceLocation | None) -> str:
    name = value.get("env") if isinstance(value, dict) and set(value) == {"env"} else None
    if isinstance(name, str) and _VARIABLE.fullmatch(name):
        return name
    raise DeclarationError(
        f'`{field}` must be {{ env = "NAME" }}, with the name of a variable that has the secret',
        origin=fields.field_origin(origin, field),
        hint="a recipe is no place for a secret" if isinstance(value, str) else "",
    )
