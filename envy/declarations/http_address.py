"""The form of addresses that are requested by HTTP, without a library that takes time to load."""

import re

_ADDRESS = re.compile(
    r"https?://([^/?#]*@)?(\[[0-9A-Fa-f:.%]+\]|[^/?#@:\[\]\s]+)(:(?P<port>[0-9]{0,5}))?(?=[/?#]|$)",
    re.IGNORECASE,
)
_MOST = 65535  # the highest port


def is_http_address(text: str) -> bool:
    """Return whether a text begins with http: or https:, a host, and perhaps a port that exists."""
    found = _ADDRESS.match(text)
    return found is not None and int(found["port"] or 0) <= _MOST
