"""Addresses that come from the network: which of them envy follows, and what messages may show.

Owns the rule for which addresses a page, a document, a redirect or a repository may name, and for
which origin the credentials of an address are. Opens neither files nor connections.
"""

import re
from urllib.parse import SplitResult, urljoin, urlsplit, urlunsplit

from envy.errors import FetchError
from envy.masking import masked_address

HTTP = frozenset({"http", "https"})
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def redacted(url: str) -> str:
    """Return the URL without credentials, fit for messages."""
    return masked_address(url)


def check_address(url: str, what: str, *, hint: str) -> None:
    """Check that an address from the user's settings can be taken apart.

    Raises:
        FetchError: it names no host or port that can be; the message says what it is.
    """
    try:
        urlsplit(url).port  # noqa: B018 (reading it checks it)
    except ValueError as error:
        shown = redacted(url)
        raise FetchError(
            f"{what} is {shown}, which is not an address: {error}", uri=shown, hint=hint
        ) from None


def origin_of(url: str) -> tuple[str, str, int]:
    """Return the scheme, host and port of a URL, which credentials are bound to."""
    parts = urlsplit(url)
    return parts.scheme, parts.hostname or "", port_of(parts)


def port_of(parts: SplitResult) -> int:
    return parts.port or (443 if parts.scheme == "https" else 80)


def with_credentials_of(known: str, url: str) -> str:
    """Return `url` with the credentials in the URL `known`, if both have the same origin."""
    user, at, _ = urlsplit(known).netloc.rpartition("@")
    parts = urlsplit(url)
    if not at or "@" in parts.netloc or origin_of(url) != origin_of(known):
        return url
    return urlunsplit(parts._replace(netloc=f"{user}@{parts.netloc}"))


def joined(base: str, address: str) -> str | None:
    """Return the absolute form of an address in the document at `base`; None if it has none."""
    try:
        url = urljoin(base, address)
        urlsplit(url).port  # noqa: B018 (reading it checks it)
    except ValueError:
        return None
    return url


def check_named(
    address: str,
    *,
    by: str,
    verb: str = "names",
    schemes: frozenset[str] = HTTP,
    is_pinned: bool = True,
    with_credentials: bool = False,
) -> None:
    """Raise unless the document at the URL `by` may name `address`.

    A document from the network may name only addresses of the network: otherwise a server could
    read files of this machine. A document from a `file:` URL may name files too. An encrypted
    address may lead to an unencrypted one only if the content is pinned by a digest and no
    credentials are sent.

    Raises:
        FetchError: the address must not be followed, or is not valid.
    """
    shown = f"{redacted(by)} {verb} {redacted(address)}"
    source = urlsplit(by).scheme
    scheme = _scheme_of(address, shown, by)
    with_credentials = with_credentials or "@" in urlsplit(address).netloc
    if scheme in schemes or (scheme == source == "file"):
        if scheme == "http" and source == "https" and (with_credentials or not is_pinned):
            raise FetchError(
                f"{shown}, which is not encrypted",
                uri=redacted(by),
                hint="a request with credentials never leaves https; name the final address"
                if with_credentials
                else "declare a sha256: for verified content, this is allowed",
            )
        return
    listed = ", ".join(f"{name}:" for name in sorted(schemes))
    raise FetchError(
        f"{shown}, but an address that comes from the network must begin with one of {listed}",
        uri=redacted(by),
        hint="inform the operators of the server: it must not name files of this machine, or "
        "programs to run",
    )


def _scheme_of(address: str, shown: str, by: str) -> str:
    absolute = None if _CONTROL.search(address) else joined("", address)
    parts = urlsplit(absolute or "")
    # Some programs take a backslash for a slash, and would find another host.
    is_clear = parts.hostname and "\\" not in parts.netloc
    if absolute is None or (parts.scheme in HTTP and not is_clear):
        raise FetchError(f"{shown}, which is not a valid address", uri=redacted(by))
    return parts.scheme
