"""The address of a server of the Remote Execution API: `grpc[s]://HOST[:PORT][/INSTANCE]`."""

from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from envy.errors import UsageError
from envy.masking import masked_address

_HINT = "write grpc://HOST:PORT or grpcs://HOST/INSTANCE"
_PORTS = {"grpc": 80, "grpcs": 443}


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteLocation:
    """Where a server is, and which of its instances is used."""

    address: str  # HOST:PORT
    instance: str
    is_encrypted: bool
    is_this_machine: bool

    @property
    def shown(self) -> str:
        scheme = "grpcs" if self.is_encrypted else "grpc"
        return f"{scheme}://{self.address}" + (f"/{self.instance}" if self.instance else "")


def parse_location(text: str, *, what: str) -> RemoteLocation:
    """Return the location that a text names; `what` is the option or variable that has it.

    Raises:
        UsageError: it is not one.
    """
    shown = masked_address(text)
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise UsageError(f"{what} has {shown}, which is not a URL: {error}", hint=_HINT) from None
    if parts.scheme not in _PORTS:
        named = f"the scheme {parts.scheme}" if "://" in text else "no scheme"
        raise UsageError(f"{what} has {shown}, with {named}", hint=_HINT)
    if not parts.hostname or "@" in parts.netloc or parts.query or parts.fragment:
        reason = "credentials in it" if "@" in parts.netloc else "no host, or more than a path"
        raise UsageError(f"{what} has {shown}, with {reason}", hint=_HINT)
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return RemoteLocation(
        address=f"{host}:{port or _PORTS[parts.scheme]}",
        instance=unquote(parts.path).strip("/"),
        is_encrypted=parts.scheme == "grpcs",
        is_this_machine=parts.hostname in {"localhost", "127.0.0.1", "::1"},
    )
