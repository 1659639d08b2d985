"""Mirrors as data: addresses that have the content of other addresses.

A file of a source names its own; the manifest and ENVY_MIRRORS name them for all addresses that
begin in the same way. Which address was used is part of no key: the digest decides.
"""

import re
from collections.abc import Mapping
from urllib.parse import urlsplit, urlunsplit

from envy.declarations import fields
from envy.errors import DeclarationError, SourceLocation
from envy.masking import masked_address, remember_address

# The beginning of addresses, and the addresses to use in its place, in the order to try them.
PrefixMap = Mapping[str, tuple[str, ...]]


def mirrored(source: str, own: tuple[str, ...], maps: tuple[PrefixMap, ...]) -> list[str]:
    """Return the addresses to try for a file, in this order, each once.

    `own` are the mirrors that the file itself declares. The addresses that `maps` name stand before
    the address that they are for, those of the first map first; in each map, the longest beginning
    that fits counts.
    """
    found: list[str] = []
    for address in (source, *own):
        for each in maps:
            found += _replaced(address, each)
        found.append(address)
    return list(dict.fromkeys(found))


def _replaced(address: str, prefixes: PrefixMap) -> list[str]:
    parts = urlsplit(address)
    # What a mirror is for does not depend on who asks, and its server is another one.
    bare = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], fragment=""))
    for prefix in sorted(prefixes, key=len, reverse=True):
        if bare == prefix:
            return list(prefixes[prefix])
        above = prefix if prefix.endswith("/") else f"{prefix}/"
        if bare.startswith(above):
            rest = bare[len(above) :]
            return [f"{to.rstrip('/')}/{rest}" for to in prefixes[prefix]]
    return []


def own_mirrors(table: Mapping[str, object], *, origin: SourceLocation | None) -> tuple[str, ...]:
    """Return the field `mirrors` of a source: an array of addresses."""
    given = fields.texts(table, "mirrors", origin=origin)
    for address in given:
        _check(address, origin=fields.field_origin(origin, "mirrors"))
    return given


def prefix_map(value: object, *, origin: SourceLocation | None) -> PrefixMap:
    """Return the global `mirrors` of a manifest: a table of beginnings and addresses.

    Raises:
        DeclarationError: it is something else.
    """
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise DeclarationError(
            f"`mirrors` must be a table of addresses, not {fields.describe(value)}",
            origin=origin,
            hint='such as mirrors = { ["https://example.org/"] = "https://mirror.example.net/" }',
        )
    found: dict[str, tuple[str, ...]] = {}
    for prefix, to in value.items():
        addresses = to if isinstance(to, list) else [to]
        for each in (prefix, *addresses):
            if not isinstance(each, str):
                raise DeclarationError(
                    f"`mirrors` must name addresses, not {fields.describe(each)}", origin=origin
                )
            _check(each, origin=origin)
        found[prefix] = tuple(addresses)
    return found


def mirrors_in(text: str) -> PrefixMap:
    """Return the prefixes of ENVY_MIRRORS: `BEGINNING=ADDRESS`, separated by white space.

    Raises:
        ValueError: a word has another form.
    """
    found: dict[str, tuple[str, ...]] = {}
    for word in text.split():
        prefix, equals, address = word.partition("=")
        if not equals or not _is_address(prefix) or not _is_address(address):
            shown = f"{masked_address(prefix)}{equals}{masked_address(address)}"
            raise ValueError(f"{shown} is not of the form BEGINNING=ADDRESS")
        remember_address(address)
        found[prefix] = (*found.get(prefix, ()), address)
    return found


def _check(address: str, *, origin: SourceLocation | None) -> None:
    if not _is_address(address):
        raise DeclarationError(
            f'`mirrors` names "{masked_address(address)}", which is not of the form '
            "https://HOST/PATH",
            origin=origin,
        )
    if "@" in address:
        remember_address(address)


def _is_address(address: str) -> bool:
    is_plain = address.isprintable() and " " not in address
    return is_plain and has_host(address)


def has_host(address: str) -> bool:
    """Return whether an HTTP address names a host, and a port if it has one, that can be."""
    try:
        parts = urlsplit(address)
        parts.port  # noqa: B018 (reading it checks it)
    except ValueError:
        return False
    is_http = parts.scheme in {"http", "https"}
    return is_http and bool(parts.hostname) and not re.search(r"\s", parts.netloc)
