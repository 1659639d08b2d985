"""HTTP connections: proxies, certificates, redirects, retries and the errors of failed requests.

Owns how a request is made and every message about a failed one. The credentials of a URL are sent
as a header to the host of that URL only, and never appear in a message.
"""

import contextlib
import ipaddress
import socket
import ssl
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

from envy.declarations.request_headers import AUTHORIZATION
from envy.errors import FetchError
from envy.transport.addresses import (
    check_named,
    joined,
    origin_of,
    port_of,
    redacted,
    with_credentials_of,
)
from envy.transport.context import FetchContext, Forbidden, NoAnswer, NotFound
from envy.transport.credentials import WITHOUT_SECRETS, netrc_authorization
from envy.transport.idle import TooSlow, idle_seconds, silence
from envy.transport.retries import Retries, is_passing, seconds_of

if TYPE_CHECKING:
    import urllib3
    from urllib3.response import BaseHTTPResponse

_CONNECT_SECONDS = 30.0
_REDIRECTS = 20
_CONTENT = (200, 203)
_CONTENT_OF_RANGE = (*_CONTENT, 206, 416)
_HOW_TO_GIVE_CREDENTIALS = (
    'give them in ~/.netrc, or as a token: auth = { env = "NAME" } in the source; those of a '
    "registry belong into the configuration of pip or npm"
)
CERTIFICATE_VARIABLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


@contextlib.contextmanager
def get(
    url: str,
    context: FetchContext,
    *,
    headers: Mapping[str, str] | None = None,
    certificates: str = "",
    is_pinned: bool = False,
) -> Iterator[tuple["BaseHTTPResponse", str]]:
    """Request a URL, follow redirects, and yield the response and its final URL.

    The body of the response is not read yet. `is_pinned` allows a redirect from https to http, for
    content that is verified by a digest, unless credentials were sent.

    Raises:
        Offline: envy works offline.
        FetchError: the server did not answer, or not with the content. To a request with a range,
            206 (the range), 200 (the content) and 416 (there is no such range) are answers.
    """
    requested = url
    sent = dict(headers or {})
    if AUTHORIZATION not in sent and "@" not in urlsplit(url).netloc:
        authorization = netrc_authorization(url, context)
        if authorization:
            sent[AUTHORIZATION] = authorization
    for _ in range(_REDIRECTS):
        response = _request(url, context, sent, certificates)
        try:
            to = response.get_redirect_location()
            if not to:
                accepted = _CONTENT_OF_RANGE if "range" in sent else _CONTENT
                if response.status not in accepted:
                    raise _status_error(response.status, requested, url, sent)
                yield response, url
                return
        finally:
            response.close()
        url, sent = _redirected(url, to, sent, is_pinned=is_pinned)
    raise FetchError(
        f"{redacted(requested)} redirects more than {_REDIRECTS} times", uri=redacted(requested)
    )


def send(
    method: str,
    url: str,
    context: FetchContext,
    *,
    headers: Mapping[str, str] | None = None,
    body: Path | None = None,
) -> int:
    """Send a request with the content of a file, follow no redirect, and return the status.

    Raises:
        Offline: envy works offline; FetchError: the server did not answer.
    """
    context.check_online(redacted(url))
    import urllib3

    bare, credentials = _without_credentials(url)
    sent = {"user-agent": "envy", **(headers or {})}
    if credentials and AUTHORIZATION not in sent:
        sent.update(urllib3.make_headers(basic_auth=credentials))
    elif AUTHORIZATION not in sent:
        authorization = netrc_authorization(url, context)
        sent |= {AUTHORIZATION: authorization} if authorization else {}
    pool = _pool_for(bare, context, "")
    retries = Retries(context)
    while True:
        context.check_cancelled()
        try:
            with contextlib.ExitStack() as closing:
                content = closing.enter_context(body.open("rb")) if body else None
                if body:
                    sent["content-length"] = str(body.stat().st_size)
                response = pool.request(
                    method, bare, headers=sent, body=content, redirect=False, retries=False
                )
        except (urllib3.exceptions.HTTPError, OSError) as error:
            if _is_final(error) or not retries.wait():
                raise request_error(url, error, context) from error
            continue
        after = seconds_of(response.headers.get("retry-after", ""))
        if not is_passing(response.status) or not retries.wait(after):
            return response.status


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
    url: str, context: FetchContext, headers: Mapping[str, str], certificates: str
) -> "BaseHTTPResponse":
    if context.offline:  # masking an address takes longer than anything else here
        context.check_online(redacted(url))
    import urllib3

    context.check_cancelled()
    bare, credentials = _without_credentials(url)
    sent = {"accept-encoding": "identity", "user-agent": "envy", **headers}
    if credentials and AUTHORIZATION not in sent:
        sent.update(urllib3.make_headers(basic_auth=credentials))
    pool = _pool_for(bare, context, certificates)
    retries = Retries(context)
    while True:
        try:
            response = pool.request(
                "GET",
                bare,
                headers=sent,
                preload_content=False,
                decode_content=False,
                redirect=False,
                retries=False,
            )
        except (urllib3.exceptions.HTTPError, OSError) as error:
            if _is_final(error) or not retries.wait():
                raise request_error(url, error, context) from error
            continue
        after = seconds_of(response.headers.get("retry-after", ""))
        if not is_passing(response.status) or not retries.wait(after):
            return response
        response.close()


def _is_final(error: Exception) -> bool:
    """Return whether a repeat would end in the same way: an invalid address, or certificate."""
    from urllib3.exceptions import LocationValueError

    causes = (error, getattr(error, "reason", None), error.__cause__, error.__context__)
    return isinstance(error, LocationValueError) or any(
        isinstance(cause, ssl.SSLCertVerificationError) for cause in causes
    )


def _without_credentials(url: str) -> tuple[str, str]:
    user, at, host = urlsplit(url).netloc.rpartition("@")
    if not at:
        return url, ""
    name, _, password = user.partition(":")
    return (
        urlunsplit(urlsplit(url)._replace(netloc=host)),
        f"{unquote(name)}:{unquote(password)}",
    )


# --- pools, proxies, certificates -------------------------------------------------------------


def _pool_for(url: str, context: FetchContext, certificates: str) -> "urllib3.PoolManager":
    proxy = proxy_for(url, context.environment)
    is_encrypted = urlsplit(url).scheme == "https"
    key = ("http", proxy, certificates, is_encrypted)
    return context.memo.once(
        key, lambda: _new_pool(proxy, context, certificates, is_encrypted=is_encrypted)
    )


def _new_pool(
    proxy: str, context: FetchContext, certificates: str, *, is_encrypted: bool
) -> "urllib3.PoolManager":
    import urllib3

    seconds = idle_seconds(context.environment)
    timeout = urllib3.Timeout(connect=min(_CONNECT_SECONDS, seconds), read=seconds)
    # To read all certificates of the system takes 30 ms.
    tls = tls_context(context.environment, certificates) if is_encrypted else None
    if not proxy:
        return urllib3.PoolManager(maxsize=64, timeout=timeout, ssl_context=tls)
    bare, credentials = _without_credentials(proxy)
    if urlsplit(bare).scheme not in {"http", "https"}:
        raise FetchError(
            f"the proxy {bare} is not supported",
            uri=bare,
            hint="set https_proxy to an http:// or https:// proxy",
        )
    headers = urllib3.make_headers(proxy_basic_auth=credentials) if credentials else None
    return urllib3.ProxyManager(
        bare,
        maxsize=64,
        timeout=timeout,
        ssl_context=tls,
        proxy_ssl_context=tls_context(context.environment, certificates)
        if urlsplit(bare).scheme == "https"
        else None,
        proxy_headers=headers,
    )


def tls_context(environment: Mapping[str, str], certificates: str = "") -> ssl.SSLContext:
    """Return a context that trusts `certificates`, a file, or else what the environment names.

    Raises:
        FetchError: the certificates cannot be read.
    """
    named = [certificates, *(environment.get(name, "") for name in CERTIFICATE_VARIABLES)]
    file = next((name for name in named if name), None)
    folder = environment.get("SSL_CERT_DIR") or None
    try:
        return ssl.create_default_context(cafile=file, capath=folder)
    except OSError as error:
        raise FetchError(
            f"the certificates in {file or folder} cannot be read: {error.strerror or error}",
            uri=str(file or folder),
            hint=f"check {', '.join(CERTIFICATE_VARIABLES)} and SSL_CERT_DIR",
        ) from error


def proxy_for(url: str, environment: Mapping[str, str]) -> str:
    """Return the proxy that the environment names for a URL, or ""."""
    parts = urlsplit(url)
    proxy = ""
    for name in (f"{parts.scheme}_proxy", "all_proxy"):
        proxy = proxy or environment.get(name) or environment.get(name.upper()) or ""
    excepted = environment.get("no_proxy") or environment.get("NO_PROXY") or ""
    if not proxy or _is_excepted(parts, excepted):
        return ""
    return proxy if "://" in proxy else f"http://{proxy}"


def _is_excepted(parts: SplitResult, excepted: str) -> bool:
    host = (parts.hostname or "").lower()
    for entry in excepted.lower().replace(",", " ").split():
        name, _, port = entry.partition(":") if entry.count(":") == 1 else (entry, "", "")
        if port and port != str(port_of(parts)):
            continue
        name = name.removeprefix("*").removeprefix(".")
        if not name or host == name or host.endswith("." + name) or _is_in_network(host, name):
            return True
    return False


def _is_in_network(host: str, network: str) -> bool:
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(network.strip("[]"), strict=False)
    except ValueError:
        return False


# --- errors -----------------------------------------------------------------------------------


def _status_error(status: int, requested: str, url: str, sent: Mapping[str, str]) -> FetchError:
    where = redacted(requested) + (f" (redirected to {redacted(url)})" if url != requested else "")
    meaning, hint = {
        204: ("was answered without content", "check the URL: it names something without content"),
        206: ("was answered with a part of its content only", "try again, or use another server"),
        401: ("requires credentials", _HOW_TO_GIVE_CREDENTIALS),
        403: ("is forbidden", "the server requires credentials, or serves this file to no user"),
        404: ("does not exist", "check the spelling of the URL, and whether the file was moved"),
        407: ("requires credentials of the proxy", "put them into the URL in https_proxy"),
        410: ("was removed", "the server says that the removal is permanent"),
        429: ("was requested too often", "wait a little, or lower --fetch-jobs"),
    }.get(status, (_other_meaning(status), ""))
    if status == 401 and (AUTHORIZATION in sent or "@" in urlsplit(url).netloc):
        meaning = "does not accept the credentials that were sent"
    kind = {404: NotFound, 410: NotFound, 403: Forbidden}.get(status, FetchError)
    if status == 429 or status >= 500:
        kind = NoAnswer
    return kind(f"{where} {meaning} (HTTP {status})", uri=redacted(requested), hint=hint)


def _other_meaning(status: int) -> str:
    if status < 300:
        return "was answered with something else than its content"
    return "was refused" if status < 500 else "could not be served"


def request_error(url: str, error: Exception, context: FetchContext) -> FetchError:
    """Return the error for a request without an answer, or with an incomplete one."""
    import urllib3.exceptions as kinds

    cause: BaseException = error
    while isinstance(cause, kinds.MaxRetryError) and cause.reason is not None:
        cause = cause.reason
    host = urlsplit(url).hostname or ""
    proxy = proxy_for(url, context.environment)
    what, hint = f"{type(cause).__name__}: {cause}", ""
    if isinstance(cause, kinds.ProxyError):
        what = f"the proxy {redacted(proxy)} failed: {cause.original_error}"
        hint = "check https_proxy, http_proxy and no_proxy"
    elif isinstance(cause, (kinds.SSLError, ssl.SSLError)):
        what, hint = _tls_reason(host, cause)
    elif isinstance(cause, kinds.NameResolutionError) or _is_lookup_failure(cause):
        what = f"the host name {host} could not be resolved"
        hint = "check the name and the network; if a proxy is needed, set https_proxy"
    elif isinstance(cause, kinds.NewConnectionError):
        what = f"{host} could not be reached: {_reason_of(cause)}"
    elif isinstance(cause, kinds.ConnectTimeoutError):
        seconds = min(_CONNECT_SECONDS, idle_seconds(context.environment))
        what = f"{host} did not answer within {seconds:g} s"
    elif isinstance(cause, kinds.ReadTimeoutError):
        what = f"{host} {silence(idle_seconds(context.environment))}"
    elif isinstance(cause, TooSlow):
        what = f"{host} {cause}"
    elif isinstance(cause, (kinds.IncompleteRead, kinds.ProtocolError)):
        what = "the connection broke before the content was complete"
    return NoAnswer(f"could not fetch {redacted(url)}: {what}", uri=redacted(url), hint=hint)


def _tls_reason(host: str, cause: BaseException) -> tuple[str, str]:
    text = str(cause)
    if "CERTIFICATE_VERIFY_FAILED" in text or "certificate verify failed" in text.lower():
        reason = text.partition("certificate verify failed: ")[2].partition(" (_ssl")[0]
        what = f"the certificate of {host} is not trusted" + (f" ({reason})" if reason else "")
        return what, "set SSL_CERT_FILE to the certificate of your own certificate authority"
    return f"an encrypted connection to {host} could not be established ({text})", ""


def _is_lookup_failure(cause: BaseException) -> bool:
    return isinstance(cause.__cause__, socket.gaierror)


def _reason_of(error: BaseException) -> str:
    inner = error.__cause__ or error
    if isinstance(inner, OSError) and inner.strerror:
        return inner.strerror
    return str(inner).rpartition(": ")[2]
