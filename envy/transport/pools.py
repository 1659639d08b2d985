"""Pools of HTTP connections, and how one request is sent through them: by proxy or straight.

Owns which proxy a host has, and what connections are shared by the fetches of a run.
"""

import functools
import ipaddress
import re
from collections.abc import Hashable, Mapping
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

from envy.errors import FetchError
from envy.transport.addresses import check_address, port_of
from envy.transport.certificates import tls_context
from envy.transport.context import FetchContext
from envy.transport.credentials import basic
from envy.transport.idle import idle_seconds
from envy.transport.turns import give_turn

if TYPE_CHECKING:
    import urllib3
    from urllib3.response import BaseHTTPResponse

CONNECT_SECONDS = 30.0
_MOST_ORIGINS = 8
# An address of which each part stays as it is when it is taken apart and put together again.
_PLAIN = re.compile(
    r"(https?://[a-z0-9]+(?:[.-][a-z0-9]+)*(?::[1-9][0-9]*)?)"
    r"(?:/[A-Za-z0-9_~+=@:-][A-Za-z0-9_~+=@:.-]*)+(?:\?[A-Za-z0-9_~+=@:.&/-]*)?\Z"
)


def get_once(
    url: str, context: FetchContext, headers: Mapping[str, str], certificates: str
) -> "BaseHTTPResponse":
    """Send one GET for a URL without credentials, and return the answer; its body is not read.

    Raises:
        urllib3.exceptions.HTTPError, OSError: there is no answer.
    """
    from envy.transport.exchange import get_by_kept

    pool, target = _straight(url, context, certificates)
    if pool is not None:
        answer = get_by_kept(pool, target, headers)
        if answer is not None:
            return answer
    give_turn()
    if pool is None:
        return pool_for(url, context, certificates).request(
            "GET",
            url,
            headers=headers,
            preload_content=False,
            decode_content=False,
            redirect=False,
            retries=False,
        )
    return pool.urlopen(
        "GET",
        target,
        headers=headers,
        preload_content=False,
        decode_content=False,
        redirect=False,
        retries=_never_again(),
        assert_same_host=False,
    )


def _straight(
    url: str, context: FetchContext, certificates: str
) -> "tuple[urllib3.HTTPConnectionPool | None, str]":
    """Return the connections to the host of a URL, and what is requested; None: by a proxy."""
    known: dict[Hashable, tuple[object, urllib3.HTTPConnectionPool]]
    known = context.memo.once("pools by origin", dict)
    plain = _PLAIN.match(url)
    origin = plain[1] if plain is not None else ""
    # Proxies and timeouts are those of the environment, which stays the same.
    key = (origin, certificates, id(context.environment))
    found = known.get(key)
    if found is not None:
        return found[1], url[len(origin) :]
    from urllib3.util import parse_url

    pools = pool_for(url, context, certificates)
    if pools.proxy is not None:
        return None, ""
    parts = parse_url(url)
    pool = pools.connection_from_host(parts.host, parts.port, parts.scheme)
    if origin:
        if len(known) >= _MOST_ORIGINS:
            known.clear()
        known[key] = (context.environment, pool)
    return pool, parts.request_uri


@functools.cache
def _never_again() -> "urllib3.Retry":
    from urllib3 import Retry

    return Retry(total=False, redirect=False)


def without_credentials(url: str) -> tuple[str, str]:
    """Return a URL without the credentials in it, and these as `NAME:PASSWORD`."""
    if "@" not in url:
        return url, ""
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
        from envy.transport.exchange import POOLS

        pools = urllib3.PoolManager(maxsize=64, timeout=timeout, ssl_context=tls)
        pools.pool_classes_by_scheme = POOLS
        return pools
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
