"""What is requested by HTTP, as data."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from envy.content.arriving import Follower
from envy.transport.digests import ExpectedDigest


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is requested, and the digests that the content must have, if any are known.

    `sign` makes the address of one request from `url`, for a while, with all credentials in it. The
    `follower` may read the content while it arrives, before it is verified.
    """

    url: str
    uri: str  # without credentials, for messages
    headers: Mapping[str, str]
    certificates: str = ""
    expected: Sequence[ExpectedDigest] = ()
    sign: Callable[[str], str] | None = None
    follower: Follower | None = None

    @property
    def address(self) -> str:
        """The address for the next request."""
        return self.sign(self.url) if self.sign else self.url

    @property
    def signed_for(self) -> str:
        """What messages call an address that is signed; "" if it is not."""
        return self.uri if self.sign else ""
