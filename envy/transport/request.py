"""What is requested by HTTP, as data."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from envy.transport.digests import ExpectedDigest


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is requested, and the digests that the content must have, if any are known."""

    url: str
    uri: str  # without credentials, for messages
    headers: Mapping[str, str]
    certificates: str = ""
    expected: Sequence[ExpectedDigest] = ()
