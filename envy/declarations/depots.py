"""The fields `depot` and `depot_keys` of a manifest, and the depots of options and variables.

A depot is a place where finished packages are shared: a folder, an HTTP server or a bucket. Opens
nothing: see `sharing`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast
from urllib.parse import urlsplit

from envy.declarations import fields
from envy.declarations.request_headers import RequestHeader, parse_headers
from envy.declarations.signature import Signature, parse_signature
from envy.errors import DeclarationError, SourceLocation, UsageError
from envy.masking import masked_address, remember_address

NONE = "none"  # ends a list of depots: those that are named elsewhere are not used
SCHEMES = ("file", "http", "https", "s3")
_FIELDS = frozenset({"url", "auth", "headers"})
_FORMS = "a depot is file:///FOLDER, https://HOST/PATH or s3://BUCKET/PREFIX"


@dataclass(frozen=True, slots=True, kw_only=True)
class Depot:
    """A depot as somebody named it; its URL has no slash at the end."""

    url: str
    headers: tuple[RequestHeader, ...] = ()

    @property
    def is_local(self) -> bool:
        """Whether it is a folder of this machine."""
        return self.url.startswith("file:")


@dataclass(frozen=True, slots=True, kw_only=True)
class Depots:
    """The depots of a manifest, in the order to ask them, and the keys that their entries need."""

    listed: tuple[Depot, ...] = ()
    keys: tuple[Signature, ...] = ()


NO_DEPOTS = Depots()


def parse_depots(
    values: Mapping[str, object], *, at: SourceLocation, keys_at: SourceLocation
) -> Depots:
    """Return the depots that a manifest names.

    Raises:
        DeclarationError: a field is not valid.
    """
    given = values.get("depot")
    rows = given if isinstance(given, list) else [] if given is None else [given]
    listed = tuple(_depot(row, at) for row in rows)
    return Depots(listed=listed, keys=_keys(values.get("depot_keys"), keys_at))


def _depot(value: object, origin: SourceLocation) -> Depot:
    if isinstance(value, str):
        return Depot(url=_url(value, origin))
    if not isinstance(value, dict):
        raise fields.wrong_type("depot", value, "a URL, or a table with `url`", origin=origin)
    table = cast("Mapping[str, object]", value)
    fields.check_known(table, _FIELDS, what="depot", origin=origin)
    url = _url(fields.text(table, "url", origin=origin), origin)
    headers = parse_headers(table, origin=origin)
    if headers and url.startswith("file:"):
        raise DeclarationError("a folder takes neither `auth` nor `headers`", origin=origin)
    return Depot(url=url, headers=headers)


def _url(text: str, origin: SourceLocation) -> str:
    try:
        return checked_url(text)
    except ValueError as error:
        raise DeclarationError(f"`depot` {error}", origin=origin, hint=_FORMS) from None


def checked_url(text: str) -> str:
    """Return the URL of a depot without a slash at its end.

    Raises:
        ValueError: it is not one.
    """
    shown = masked_address(text)
    try:
        parts = urlsplit(text)
        parts.port  # noqa: B018 (reading it checks it)
    except ValueError as error:
        raise ValueError(f"has {shown}, which is not a URL: {error}") from None
    if parts.scheme not in SCHEMES:
        named = f"the scheme {parts.scheme}" if parts.scheme and "://" in text else "no scheme"
        raise ValueError(f"has {shown or 'an empty text'}, with {named}")
    if " " in text or not text.isprintable():
        raise ValueError(f"has {shown}, with a space or a control character: write them as %20")
    if parts.query or parts.fragment:
        raise ValueError(f"has {shown}, which cannot have more parts appended to it")
    if parts.scheme == "file":
        if parts.netloc not in {"", "localhost"} or not parts.path.startswith("/"):
            raise ValueError(f"has {shown}, which is not the absolute path of a folder")
        return f"file://{parts.path.rstrip('/')}"
    if not parts.hostname:
        raise ValueError(f"has {shown}, which names no host")
    remember_address(text)
    return text.rstrip("/")


def _keys(value: object, origin: SourceLocation) -> tuple[Signature, ...]:
    if value is None:
        return ()
    rows = value if isinstance(value, list) else [] if value == {} else [value]
    found = []
    for row in rows:
        if not isinstance(row, str):
            raise fields.wrong_type(
                "depot_keys", row, "an array of public keys of minisign", origin=origin
            )
        key = parse_signature({"minisign": row}, origin=origin)
        if key is not None:
            found.append(key)
    if not found:
        raise DeclarationError(
            "`depot_keys` is empty, so no entry could be used",
            origin=origin,
            hint="name the public keys, or remove the field",
        )
    return tuple(found)


def chosen_depots(
    options: Sequence[str], variable: str, of_manifest: Sequence[Depot]
) -> tuple[Depot, ...]:
    """Return the depots to use: those of `--depot`, of ENVY_DEPOT, then of the manifest.

    The word `none` leaves out those that come after it.

    Raises:
        UsageError: a depot is not valid.
    """
    found: list[Depot] = []
    for what, texts in (("--depot", options), ("ENVY_DEPOT", variable.split())):
        for text in texts:
            if text == NONE:
                return tuple(found)
            try:
                found.append(Depot(url=checked_url(text)))
            except ValueError as error:
                raise UsageError(f"{what} {error}", hint=_FORMS) from None
    once: dict[str, Depot] = {}
    for depot in (*found, *of_manifest):
        once.setdefault(depot.url, depot)
    return tuple(once.values())
