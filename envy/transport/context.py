"""The data that all transports share: the context of a fetch, and its result.

Opens no file and no connection.
"""

import enum
import threading
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol, TypeVar, cast

from envy.content.arriving import Follower
from envy.declarations.mirrors import PrefixMap
from envy.declarations.sources import SourceItem
from envy.errors import Cancelled, FetchError, SourceLocation
from envy.host.platform import Platform
from envy.interpreter import released
from envy.locking.lock import LockedFile

if TYPE_CHECKING:
    from envy.cache.downloads import Downloads

Result = TypeVar("Result")


class Waiting(Protocol):
    """Does what waits for a server, and returns its result."""

    def __call__(self, wait: Callable[[], Result], /) -> Result: ...


def _at_once(wait: Callable[[], Result], /) -> Result:
    return wait()


def _jitter() -> float:
    import random

    return random.random()


class Sharing(enum.Enum):
    """Which files of a fetch may be second names of kept downloads: those that only envy reads."""

    NOTHING = "nothing"  # scripts may change any of them
    ARCHIVES = "archives"  # functions may have programs decompress single files in place
    UNPACKED = "unpacked"  # whatever envy unpacks
    EVERYTHING = "everything"  # the recipe runs nothing before it is published


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranges:
    """When a file is fetched over several connections, in pieces of so many bytes.

    That is if at least `least` bytes are missing after `after` seconds, and a single connection
    brings less than `below` bytes a second and needs more than `least_seconds` for the rest. If
    they are not faster than that one after `trial` seconds, it goes on alone.
    """

    connections: int = 4
    after: float = 1.0
    least: int = 16 << 20
    least_seconds: float = 3.0
    below: float = 50e6
    piece: int = 4 << 20
    trial: float = 4.0


class Answered(FetchError):
    """The server answered with something else than the content; `status` is 0 if it has none.

    `origin` is the one that answered, perhaps after redirects. `headers` are those of the answer,
    with names in lower case; `said` is the beginning of its body if that was read.
    """

    status: int = 0
    origin: tuple[str, str, int] | None = None
    headers: Mapping[str, str] = MappingProxyType({})
    said: bytes = b""


class NotFound(Answered):
    """The server answered that the resource does not exist."""


class Offline(FetchError):
    """Something is needed from elsewhere, and envy works offline; `origin` declares it."""

    origin: SourceLocation | None = None


class CannotWrite(FetchError):
    """The content cannot be written on this machine, from wherever it comes."""


def cannot_write(uri: str, path: object, error: OSError) -> CannotWrite:
    """Return the error for content of `uri` that the system does not let be written."""
    return CannotWrite(
        f"cannot write the content of {uri} to {path}: {error.strerror}",
        uri=uri,
        hint="free some space on that disk, or move the cache with --cache-root",
    )


class NoAnswer(Answered):
    """The server could not be reached, or could not answer now: another time it may."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedDigest:
    """A digest of the file that is fetched, and the address of the checksum file that lists it."""

    algorithm: str
    hexdigest: str
    by: str


class RunProgram(Protocol):
    """Runs a program to its end and returns (exit code, stdout, stderr).

    Raises:
        ScriptFailed: the program does not exist.
    """

    def __call__(
        self,
        argv: list[str],
        *,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> tuple[int, bytes, bytes]: ...


class StandIn(Protocol):
    """Takes the place of all transports, so that nothing is requested from elsewhere."""

    def fetch(self, item: SourceItem, into: Path) -> "Fetched | None":
        """Return what a source is to be, in the folder `into`; None: fetch it from this machine.

        Raises:
            FetchError: it is to fail.
        """

    def commit_of(self, item: SourceItem) -> str:
        """Return the commit that the `ref` of a git source is to name."""


_UNKNOWN = object()


class Memo:
    """Values that hold for the lifetime of one context, each computed once.

    Guarantees
      `once` computes the value of a key in one thread; other threads wait, and share the value.
      A failure is not remembered: the next call tries again.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._locks: dict[Hashable, threading.Lock] = {}
        self._answers: dict[Hashable, object] = {}

    def once(self, key: Hashable, compute: Callable[[], Result]) -> Result:
        known = self._answers.get(key, _UNKNOWN)
        if known is not _UNKNOWN:
            return cast("Result", known)
        with self._lock:
            lock = self._locks.setdefault(key, threading.Lock())
        # The computing thread may need the interpreter slot before it releases the lock.
        with released():
            lock.acquire()
        try:
            if key not in self._answers:
                self._answers[key] = compute()
            return cast("Result", self._answers[key])
        finally:
            lock.release()


_RANGES = Ranges()


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchContext:
    """The collaborators of a fetch; one for a whole run, shared by its threads.

    `pause` waits for some seconds, or until the run is cancelled. `progress` is called with the
    URI, the bytes so far and the total (0: unknown). `retries` is how often a request is repeated
    that got no answer or a server error; the first repeat waits `backoff` seconds, and each further
    one twice as long; `jitter` returns by how much of that, from 0 to 1, a wait is shortened, to
    half at most, so that many clients do not repeat their requests at once. `platform` is the one
    that a wheel is chosen for; None means this machine.
    `locked` returns what envy.lock says about a source, and `mirrors` are those that the manifest
    names. `ranges` says when a file is fetched over several connections.

    `listed` are the digests that checksum files list for the one source of this context.

    `waiting` does what waits for a server, and `moved` is told of the size of each part of a
    content as it arrives, or leaves.

    `kept` are the downloads of the cache, if there is one, and `shares` says which files may be
    those themselves. With `offline`, nothing is requested from elsewhere, and `online` says what
    the user can do instead. A `stand_in` takes the place of the transports. `follow` returns
    what reads the file of a source, which is going to have that path, while it arrives.
    """

    cancelled: Callable[[], bool]
    pause: Callable[[float], None]
    progress: Callable[[str, int, int], None]
    warn: Callable[[str], None]
    environment: Mapping[str, str]
    run: RunProgram
    waiting: Waiting = _at_once
    moved: Callable[[int], None] = lambda _size: None
    retries: int = 4
    backoff: float = 0.2
    memo: Memo = field(default_factory=Memo)
    kept: "Downloads | None" = None
    shares: Sharing = Sharing.NOTHING
    offline: bool = False
    online: str = ""
    platform: Platform | None = None
    mirrors: PrefixMap = field(default_factory=dict)
    jitter: Callable[[], float] = _jitter
    ranges: Ranges = _RANGES
    listed: tuple[ListedDigest, ...] = ()
    locked: Callable[[SourceItem], LockedFile | None] = lambda _item: None
    stand_in: StandIn | None = None
    follow: Callable[[SourceItem, Path], Follower | None] = lambda _item, _target: None

    def reporting_as(self, uri: str) -> "FetchContext":
        """Return a context that reports progress under `uri`, the source as its author wrote it."""

        def progress(_: str, done: int, total: int) -> None:
            self.progress(uri, done, total)

        return replace(self, progress=progress)

    def check_online(self, needed: str, *, hint: str = "") -> None:
        """Check that something may be requested from elsewhere; every transport does, first.

        Raises:
            Offline: envy works offline; the message names what is needed.
        """
        if self.offline:
            raise Offline(
                f"{needed} is needed, and envy works offline (--offline, ENVY_OFFLINE)",
                uri=needed,
                hint=f"{self.online}{'; ' if self.online and hint else ''}{hint}",
            )

    def check_cancelled(self) -> None:
        if self.cancelled():
            raise Cancelled("the run was cancelled")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """A fetched source: a file, or the root of a tree.

    `sha256` is "" for trees. `verified` is true if the content was compared with a commit, or with
    a digest from the recipe or a registry; only the item tells whether the recipe pins it. `uri`
    has no credentials.
    """

    path: Path
    bytes: int
    sha256: str
    uri: str
    verified: bool
