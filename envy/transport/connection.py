"""HTTP requests: redirects, retries and the errors of those that fail.

Owns how a request is made and every message about a failed one. The credentials of a URL are sent
as a header to the host of that URL only, and never appear in a message.
"""

import contextlib
import re
import socket
import ssl
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from envy.declarations.request_headers import AUTHORIZATION
from envy.errors import FetchError
from envy.transport.addresses import (
    check_named,
    joined,
    origin_of,
    redacted,
    with_credentials_of,
)
from envy.transport.certificates import tls_reason
from envy.transport.context import Answered, FetchContext, NoAnswer, NotFound
from envy.transport.credentials import WITHOUT_SECRETS, basic, netrc_authorization
from envy.transport.idle import TooSlow, idle_seconds, silence
from envy.transport.pools import CONNECT_SECONDS, get_once, proxy_for, without_credentials
from envy.transport.retries import Retries, is_passing, seconds_of

if TYPE_CHECKING:
    from urllib3.response import BaseHTTPResponse

_REDIRECTS = 20
_MOST_SAID = 4096
_TRANSFERS = frozenset({"", "identity", "chunked"})
_TUNNEL = re.compile(r"Tunnel connection failed: (\d{3})")
_CONTENT = (200, 203)
_CONTENT_OF_RANGE = (*_CONTENT, 206, 416)
_HOW_TO_GIVE_CREDENTIALS = (
    'give them in ~/.netrc, or as a token: auth = { env = "NAME" } in the source; those of a '
    "registry belong into the configuration of pip or npm"
)


@contextlib.contextmanager
def get(
    url: str,
    context: FetchContext,
    *,
    headers: Mapping[str, str] | None = None,
    certificates: str = "",
    is_pinned: bool = False,
    signed_for: str = "",
) -> Iterator[tuple["BaseHTTPResponse", str]]:
    """Request a URL, follow redirects, and yield the response and its final URL.

    The body of the response is not read yet. `is_pinned` allows a redirect from https to http, for
    content that is verified by a digest, unless credentials were sent. A URL that is signed has all
    credentials in itself, and messages call it `signed_for`.

    Raises:
        Offline: envy works offline.
        FetchError: the server did not answer, or not with the content. To a request with a range,
            206 (the range), 200 (the content) and 416 (there is no such range) are answers.
    """
    requested = url
    sent = dict(headers or {})
    has_own = "@" in url and "@" in urlsplit(url).netloc
    if AUTHORIZATION not in sent and not has_own and not signed_for:
        authorization = netrc_authorization(url, context)
        if authorization:
            sent[AUTHORIZATION] = authorization
    for _ in range(_REDIRECTS):
        response = _request(url, context, sent, certificates, signed_for)
        try:
            to = response.get_redirect_location()
            if not to:
                accepted = _CONTENT_OF_RANGE if "range" in sent else _CONTENT
                if response.status not in accepted:
                    raise _status_error(
                        response, requested, url, sent, context=context, signed_for=signed_for
                    )
                if "transfer-encoding" in response.headers:
                    _check_transfer(response, signed_for or redacted(requested))
                yield response, url
                return
        finally:
            response.close()
        url, sent = _redirected(url, to, sent, is_pinned=is_pinned)
    raise FetchError(
        f"{signed_for or redacted(requested)} redirects more than {_REDIRECTS} times",
        uri=signed_for or redacted(requested),
    )


def _check_transfer(response: "BaseHTTPResponse", uri: str) -> None:
    """Check that the library takes the body out of its frame: of others it returns the frame, too.

    Raises:
        Answered: the body comes in another frame.
    """
    coding = response.headers.get("transfer-encoding", "").strip().lower()
    if coding not in _TRANSFERS:
        raise Answered(
            f"{uri} came with Transfer-Encoding {coding}, which envy does not know", uri=uri
        )


def is_cut(response: "BaseHTTPResponse") -> bool:
    """Return whether an answer of which no body came may have ended within its head.

    The library takes that for the end of the head. Then nothing says how long the body is.
    """
    headers = response.headers
    return "content-length" not in headers and "transfer-encoding" not in headers


def _redirected(
    url: str, to: str, headers: dict[str, str], *, is_pinned: bool
) -> tuple[str, dict[str, str]]:
    absolute = joined(url, to) or to
    check_named(
        absolute,
        by=url,
        verb="redirects to",
        is_pinned=is_pinned,
        with_credentials=not WITHOUT_SECRETS.issuperset(headers) or "@" in urlsplit(url).netloc,
    )
    if origin_of(absolute) != origin_of(url):
        headers = {name: value for name, value in headers.items() if name in WITHOUT_SECRETS}
    return with_credentials_of(url, absolute), headers


def _request(
    url: str,
    context: FetchContext,
    headers: Mapping[str, str],
    certificates: str,
    signed_for: str = "",
) -> "BaseHTTPResponse":
    if context.offline:  # masking an address takes longer than anything else here
        context.check_online(signed_for or redacted(url))
    import urllib3

    context.check_cancelled()
    bare, credentials = without_credentials(url)
    sent = {"accept-encoding": "identity", "user-agent": "envy", **headers}
    if credentials and AUTHORIZATION not in sent:
        sent[AUTHORIZATION] = basic(credentials)
    retries = Retries(context)
    while True:
        try:
            response = context.waiting(lambda: get_once(bare, context, sent, certificates))
        except (urllib3.exceptions.HTTPError, OSError) as error:
            if is_final(error) or not retries.wait():
                raise request_error(url, error, context, signed_for=signed_for) from error
            continue
        except ValueError:
            raise not_sendable(signed_for or redacted(url)) from None
        if not is_passing(response.status):
            return response
        if not retries.wait(seconds_of(response.headers.get("retry-after", ""))):
            return response
        response.close()


def is_final(error: Exception) -> bool:
    """Return whether a repeat would end alike: a bad address or certificate, a refusal."""
    from urllib3.exceptions import LocationValueError

    causes = (error, getattr(error, "reason", None), error.__cause__, error.__context__)
    return isinstance(error, LocationValueError) or any(
        isinstance(cause, ssl.SSLCertVerificationError) or 400 <= _tunnel_status(cause) < 500
        for cause in causes
    )


# --- errors -----------------------------------------------------------------------------------


def not_sendable(uri: str) -> FetchError:
    """Return the error for a request that cannot be written, without what may be a secret."""
    return FetchError(
        f"{uri} cannot be requested: its address, or a header that is sent with it, has characters "
        "that are not allowed there",
        uri=uri,
        hint="check the credentials for it, and the variables that they come from",
    )


def _status_error(
    response: "BaseHTTPResponse",
    requested: str,
    url: str,
    sent: Mapping[str, str],
    *,
    context: FetchContext,
    signed_for: str,
) -> FetchError:
    status, uri = response.status, signed_for or redacted(requested)
    where = uri + (f" (redirected to {redacted(url)})" if url != requested else "")
    meaning, hint = {
        204: ("was answered without content", "check the URL: it names something without content"),
        206: ("was answered with a part of its content only", "try again, or use another server"),
        401: ("requires credentials", _HOW_TO_GIVE_CREDENTIALS),
        403: ("is forbidden", "the server requires credentials, or serves this file to no user"),
        404: ("does not exist", "check the spelling of the URL, and whether the file was moved"),
        410: ("was removed", "the server says that the removal is permanent"),
        429: ("was requested too often", "wait a little, or lower --fetch-jobs"),
    }.get(status, (_other_meaning(status), ""))
    if status == 407:
        meaning, hint = _refused_by_proxy(url, context)
    if status == 401 and (AUTHORIZATION in sent or "@" in urlsplit(url).netloc):
        meaning = "does not accept the credentials that were sent"
    kind = NotFound if status in {404, 410} else Answered
    if status == 429 or status >= 500:
        kind = NoAnswer
    error = kind(f"{where} {meaning} (HTTP {status})", uri=uri, hint=hint)
    error.status, error.origin = status, origin_of(url)
    error.headers = {name.lower(): value for name, value in response.headers.items()}
    if signed_for:  # what such a server says is worth more than its status
        with contextlib.suppress(Exception):
            error.said = response.read(_MOST_SAID)
    return error


def _refused_by_proxy(url: str, context: FetchContext) -> tuple[str, str]:
    proxy = proxy_for(url, context.environment)
    has_given = "@" in urlsplit(proxy).netloc
    return (
        f"is refused by the proxy {redacted(proxy)}, which "
        + ("does not accept the credentials for it" if has_given else "requires credentials"),
        f"set {urlsplit(url).scheme}_proxy to http://USER:PASSWORD@HOST:PORT in your environment",
    )


def _proxy_reason(url: str, error: BaseException, context: FetchContext) -> tuple[str, str]:
    """Return why a proxy makes no connection, and what to do about it."""
    status, host = _tunnel_status(error), urlsplit(url).hostname or ""
    if status == 407:
        meaning, hint = _refused_by_proxy(url, context)
        return f"it {meaning} (HTTP 407)", hint
    proxy = redacted(proxy_for(url, context.environment))
    hint = "check https_proxy, http_proxy and no_proxy"
    if not status:
        return f"the proxy {proxy} failed: {error}", hint
    verb = "does not allow" if status < 500 else "could not make"
    return f"the proxy {proxy} {verb} a connection to {host} (HTTP {status})", hint


def _tunnel_status(error: BaseException | None) -> int:
    """Return the status that a proxy answered with when it was asked for a connection; else 0."""
    found = _TUNNEL.search(str(error))
    return int(found[1]) if found else 0


def _other_meaning(status: int) -> str:
    if status < 300:
        return "was answered with something else than its content"
    return "was refused" if status < 500 else "could not be served"


def request_error(
    url: str, error: Exception, context: FetchContext, *, signed_for: str = ""
) -> FetchError:
    """Return the error for a request without an answer, or with an incomplete one."""
    import urllib3.exceptions as kinds

    cause: BaseException = error
    while isinstance(cause, kinds.MaxRetryError) and cause.reason is not None:
        cause = cause.reason
    host = urlsplit(url).hostname or ""
    what, hint = f"{type(cause).__name__}: {cause}", ""
    if isinstance(cause, kinds.ProxyError):
        what, hint = _proxy_reason(url, cause.original_error, context)
    elif isinstance(cause, (kinds.SSLError, ssl.SSLError)):
        what, hint = tls_reason(host, cause)
    elif isinstance(cause, kinds.NameResolutionError) or _is_lookup_failure(cause):
        what = f"the host name {host} could not be resolved"
        hint = "check the name and the network; if a proxy is needed, set https_proxy"
    elif isinstance(cause, kinds.NewConnectionError):
        what = f"{host} could not be reached: {_reason_of(cause)}"
    elif isinstance(cause, kinds.ConnectTimeoutError):
        seconds = min(CONNECT_SECONDS, idle_seconds(context.environment))
        what = f"{host} did not answer within {seconds:g} s"
    elif isinstance(cause, kinds.ReadTimeoutError):
        what = f"{host} {silence(idle_seconds(context.environment))}"
    elif isinstance(cause, TooSlow):
        what = f"{host} {cause}"
    elif isinstance(cause, (kinds.IncompleteRead, kinds.ProtocolError)):
        what = "the connection broke before the content was complete"
    uri = signed_for or redacted(url)
    return NoAnswer(f"could not fetch {uri}: {what}", uri=uri, hint=hint)


def _is_lookup_failure(cause: BaseException) -> bool:
    return isinstance(cause.__cause__, socket.gaierror)


def _reason_of(error: BaseException) -> str:
    inner = error.__cause__ or error
    if isinstance(inner, OSError) and inner.strerror:
        return inner.strerror
    return str(inner).rpartition(": ")[2]
