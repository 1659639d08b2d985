"""Pools of HTTP connections, and how one request is sent through them: by proxy or straight.

Owns which proxy a host has, and what connections are shared by the fetches of a run.
"""

import functools
import ipaddress
from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

from envy.errors import FetchError
from envy.transport.addresses import check_address, port_of
from envy.transport.certificates import tls_context
from envy.transport.context import FetchContext
from envy.transport.credentials import basic
from envy.transport.idle import idle_seconds

if TYPE_CHECKING:
    import urllib3
    from urllib3.response import BaseHTTPResponse

CONNECT_SECONDS = 30.0


def get_once(
    url: str, context: FetchContext, headers: Mapping[str, str], certificates: str
) -> "BaseHTTPResponse":
    """Send one GET for a URL without credentials, and return the answer; its body is not read.

    Raises:
        urllib3.exceptions.HTTPError, OSError: there is no answer.
    """
    from urllib3.util import parse_url

    pools = pool_for(url, context, certificates)
    if pools.proxy is not None:
        return pools.request(
            "GET",
            url,
            headers=headers,
            preload_content=False,
            decode_content=False,
            redirect=False,
            retries=False,
        )
    # What `pools.request` does, at two thirds of its cost: it prepares for redirects and repeats.
    parts = parse_url(url)
    pool = pools.connection_from_host(parts.host, parts.port, parts.scheme)
    return pool.urlopen(
        "GET",
        parts.request_uri,
        headers=headers,
        preload_content=False,
        decode_content=False,
        redirect=False,
        retries=_never_again(),
        assert_same_host=False,
    )


@functools.cache
def _never_again() -> "urllib3.Retry":
    from urllib3 import Retry

    return Retry(total=False, redirect=False)


def without_credentials(url: str) -> tuple[str, str]:
    """Return a URL without the credentials in it, and these as `NAME:PASSWORD`."""
    user, at, host = urlsplit(url).netloc.rpartition("@")
    if not at:
        return url, ""
    name, _, password = user.partition(":")
    return (
        urlunsplit(urlsplit(url)._replace(netloc=host)),
        ":".join(unquote(part, errors="surrogateescape") for part in (name, password)),
    )


def pool_for(url: str, context: FetchContext, certificates: str) -> "urllib3.PoolManager":
    """Return the connections for a URL: through its proxy, with its certificates."""
    proxy = proxy_for(url, context.environment)
    is_encrypted = urlsplit(url).scheme == "https"
    # A depot is given up sooner than the source of a recipe in the same run.
    seconds = idle_seconds(context.environment)
    key = ("http", proxy, certificates, is_encrypted, seconds)
    return context.memo.once(
        key, lambda: _new_pool(proxy, context, certificates, seconds, is_encrypted=is_encrypted)
    )


def _new_pool(
    proxy: str, context: FetchContext, certificates: str, seconds: float, *, is_encrypted: bool
) -> "urllib3.PoolManager":
    import urllib3

    timeout = urllib3.Timeout(connect=min(CONNECT_SECONDS, seconds), read=seconds)
    # To read all certificates of the system takes 30 ms.
    tls = tls_context(context.environment, certificates) if is_encrypted else None
    if not proxy:
        return urllib3.PoolManager(maxsize=64, timeout=timeout, ssl_context=tls)
    check_address(proxy, "the proxy", hint="set https_proxy to http://HOST:PORT")
    bare, credentials = without_credentials(proxy)
    if urlsplit(bare).scheme not in {"http", "https"}:
        raise FetchError(
            f"the proxy {bare} is not supported",
            uri=bare,
            hint="set https_proxy to an http:// or https:// proxy",
        )
    headers = {"proxy-authorization": basic(credentials)} if credentials else None
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
