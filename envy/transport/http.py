"""Downloads by HTTP: verified while they stream, kept, and taken from what is kept.

Owns downloading one URL into one file, and reading small pages for the registries.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from envy.content.atomic import written_whole
from envy.declarations.sources import SourceItem, file_name
from envy.errors import FetchError
from envy.transport.addresses import origin_of, redacted
from envy.transport.connection import get, is_cut, request_error
from envy.transport.context import FetchContext, Fetched
from envy.transport.credentials import headers_of
from envy.transport.digests import ExpectedDigest, Hasher, wanted_digests
from envy.transport.kept import keep, set_aside, take_kept
from envy.transport.mirrors import addresses_of, first_good
from envy.transport.page_body import read_body
from envy.transport.request import Request
from envy.transport.retries import Retries
from envy.transport.streaming import stream
from envy.transport.target import make_executable, reusable, target_in

_NOT_KEPT = "a download without a digest is not kept"


def fetch_http(item: SourceItem, into: Path, context: FetchContext) -> Fetched:
    """Download one file."""
    return download(
        item.source,
        target_in(into, file_name(item)),
        context,
        item=item,
        expected=wanted_digests(item, context),
    )


def download(
    url: str,
    target: Path,
    context: FetchContext,
    *,
    item: SourceItem,
    expected: Sequence[ExpectedDigest],
    headers: Mapping[str, str] | None = None,
    certificates: str = "",
    transfer: Callable[[Request, Path, FetchContext, str], Hasher] | None = None,
) -> Fetched:
    """Download a URL to `target`, unless a file with the expected digests is there or is kept.

    A file that was verified is kept for later use. `transfer` takes the place of `stream`.
    """
    uri = redacted(url)
    fetched = reusable(target, uri, expected)
    if fetched is None:
        fetched = take_kept(item, target, context, expected=expected, uri=uri)
    if fetched is None:
        # Before urllib3 is imported, which takes longer than anything else here.
        context.check_online(uri, hint="" if expected else _NOT_KEPT)
        follower = context.follow(item, target)
        with written_whole(target) as part:

            def attempt(address: str, context: FetchContext) -> Hasher:
                request = Request(
                    url=address,
                    uri=uri if address == url else redacted(address),
                    headers=_sent_to(address, url, item, context, headers),
                    certificates=certificates,
                    expected=expected,
                    follower=follower,
                )
                return _verified(transfer or stream, request, part, context, target.name)

            addresses = addresses_of(url, item.mirrors, context)
            # Progress is that of the file, wherever it comes from.
            shown = context if addresses == [url] else context.reporting_as(uri)
            hasher = first_good(url, addresses, attempt, shown, is_pinned=bool(expected))
            if expected:
                keep(part, hasher, item, target.name, context)
        fetched = Fetched(
            path=target,
            bytes=hasher.size,
            sha256=hasher.sha256,
            uri=uri,
            verified=bool(expected),
        )
        if follower is not None:
            follower.accept(hasher.sha256)
    if item.is_executable:
        make_executable(target)
    return fetched


def _verified(
    transfer: Callable[[Request, Path, FetchContext, str], Hasher],
    request: Request,
    part: Path,
    context: FetchContext,
    name: str,
) -> Hasher:
    """Transfer and verify a file; one with a wrong digest is kept aside, and the error names it."""
    hasher = None
    try:
        hasher = transfer(request, part, context, name)
        hasher.verify(request.uri)
    except BaseException as error:
        if request.follower is not None:
            request.follower.give_up()
        if hasher is not None and isinstance(error, FetchError):
            set_aside(part, hasher.sha256, error, context)
        raise
    return hasher


def _sent_to(
    address: str,
    url: str,
    item: SourceItem,
    context: FetchContext,
    headers: Mapping[str, str] | None,
) -> dict[str, str]:
    """Return the headers for an address; credentials are for the host that they were given for."""
    if address != url and origin_of(address) != origin_of(url):
        return {}
    return {**(headers or {}), **headers_of(item.headers, url, context)}


def read_page(
    url: str, context: FetchContext, *, headers: Mapping[str, str], certificates: str = ""
) -> tuple[bytes, str, str]:
    """Read a page or document of a registry; return (content, content type, final URL).

    Raises:
        FetchError: it cannot be read, or is larger than its limit.
    """
    context.check_online(redacted(url))
    import urllib3

    retries = Retries(context)
    while True:
        with get(url, context, headers=headers, certificates=certificates) as (response, final):
            try:
                body = read_body(response, redacted(final), context)
                if not body and is_cut(response):
                    raise urllib3.exceptions.IncompleteRead(0, 0)
            except (urllib3.exceptions.HTTPError, OSError) as error:
                if not retries.wait():
                    raise request_error(url, error, context) from error
                continue
            return body, response.headers.get("content-type", ""), final
