"""Credentials of requests: tokens in variables, and those that .netrc has for a host.

Whatever is read here is remembered as a secret, so that nothing shows it. Opens no connection.
"""

import base64
import os.path
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from envy.declarations.request_headers import AUTHORIZATION, RequestHeader, is_value
from envy.errors import FetchError
from envy.masking import remember
from envy.transport.addresses import redacted
from envy.transport.context import FetchContext

# All other headers may be secrets: they go to the origin that they are for, and to no other.
WITHOUT_SECRETS = frozenset({"accept", "range", "if-range"})


def headers_of(
    declared: Sequence[RequestHeader], url: str, context: FetchContext
) -> dict[str, str]:
    """Return the headers that a source declares, with the values of their variables.

    A token is sent as `Bearer`, unless its variable names another scheme, as in `token abc`.

    Raises:
        FetchError: a variable is not set, or its value cannot be sent.
    """
    found = {}
    for header in declared:
        value = header.value
        if header.variable:
            value = _value_of(header.variable, url, context)
            if header.name == AUTHORIZATION and " " not in value:
                value = f"Bearer {value}"
        found[header.name] = value
    return found


def _value_of(variable: str, url: str, context: FetchContext) -> str:
    value = context.environment.get(variable, "").strip()
    if not value:
        raise FetchError(
            f"{redacted(url)} needs credentials: the variable {variable}, which its source names, "
            "is not set",
            uri=redacted(url),
            hint=f"set {variable} to a token for {urlsplit(url).hostname or 'that host'}",
        )
    remember([value, value.rpartition(" ")[2]])
    if not is_value(value):
        raise FetchError(
            f"the value of the variable {variable} cannot be sent in a header: it has characters "
            "beyond ASCII, or several lines",
            uri=redacted(url),
            hint=f"check the end of the file or command that {variable} comes from",
        )
    return value


def netrc_authorization(url: str, context: FetchContext) -> str:
    """Return the Authorization header for the host of a URL from .netrc; "" if it has none.

    The entry `default` is not used: it would send credentials to any host.
    """
    hosts = context.memo.once(("netrc",), lambda: _read_netrc(context))
    found = hosts.get(urlsplit(url).hostname or "") if hosts else None
    if found is None:
        return ""
    return basic(":".join(found))


def basic(credentials: str) -> str:
    """Return the value of a header for `NAME:PASSWORD`, in UTF-8, as curl and git send it."""
    encoded = base64.b64encode(credentials.encode("utf-8", "surrogateescape"))
    return f"Basic {encoded.decode('ascii')}"


def _read_netrc(context: FetchContext) -> Mapping[str, tuple[str, str]]:
    named = context.environment.get("NETRC", "")
    home = context.environment.get("HOME", "")
    path = named or (os.path.join(home, ".netrc") if home else "")  # noqa: PTH118
    if not path or not os.path.isfile(path):  # noqa: PTH113
        return {}
    import netrc

    try:
        hosts = netrc.netrc(path).hosts
    except netrc.NetrcParseError as error:
        # Its words are not shown: they may be a part of a password.
        context.warn(
            f"{path}:{error.lineno} is not valid, and is not used; a name or password with spaces "
            'or # must be in "quotes"'
        )
        return {}
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", "") or "it is not text in UTF-8"
        context.warn(f"{path} cannot be read, and is not used: {why}")
        return {}
    remember([password for _, _, password in hosts.values() if password])
    return {
        host.lower(): (login or "", password or "")
        for host, (login, _, password) in hosts.items()
        if host != "default"
    }
