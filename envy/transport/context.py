"""What a fetch is given and what it gives back.

Owns the plain data that every transport shares; nothing here opens a file or a connection.
"""

import threading
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol, TypeVar, cast

from envy.errors import Cancelled
from envy.interpreter import released

Result = TypeVar("Result")


class RunProgram(Protocol):
    """Runs a program to its end and returns (exit code, stdout, stderr).

    A program that does not exist raises ScriptFailed.
    """

    def __call__(
        self,
        argv: list[str],
        *,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> tuple[int, bytes, bytes]: ...


class Memo:
    """Answers that hold for the lifetime of one context, each found out once.

    Guarantees
      `once` computes a key's value in one thread at a time; the others wait and share it.
      A failure is not remembered: the next one who asks tries again.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._locks: dict[Hashable, threading.Lock] = {}
        self._answers: dict[Hashable, object] = {}

    def once(self, key: Hashable, compute: Callable[[], Result]) -> Result:
        with self._lock:
            lock = self._locks.setdefault(key, threading.Lock())
        # Whoever computes may want the interpreter slot back before letting the lock go.
        with released():
            lock.acquire()
        try:
            if key not in self._answers:
                self._answers[key] = compute()
            return cast("Result", self._answers[key])
        finally:
            lock.release()


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchContext:
    """The collaborators of a fetch; one for a whole run, shared by its threads.

    `progress` gets the uri, the bytes so far and the total (0: not known). `retries` is how often a
    request that failed without an answer, or with a server's error, is made again; the first
    repeats wait `backoff` seconds, and each further one twice as long.
    """

    cancelled: Callable[[], bool]
    progress: Callable[[str, int, int], None]
    warn: Callable[[str], None]
    environment: Mapping[str, str]
    run: RunProgram
    retries: int = 4
    backoff: float = 0.2
    memo: Memo = field(default_factory=Memo)

    def reporting_as(self, uri: str) -> "FetchContext":
        """The same, but its progress is that of `uri`: what an author wrote, wherever it lies."""

        def progress(_: str, done: int, total: int) -> None:
            self.progress(uri, done, total)

        return replace(self, progress=progress)

    def check_cancelled(self) -> None:
        if self.cancelled():
            raise Cancelled("the run was cancelled")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """One thing that is here now: a file, or the root of a tree.

    `sha256` is "" for trees. `verified` says that the content was compared with a digest, a
    commit, or what a registry promises; whether the recipe itself pins it, its item tells.
    `uri` holds no credentials.
    """

    path: Path
    bytes: int
    sha256: str
    uri: str
    verified: bool
