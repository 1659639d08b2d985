"""Digests computed while content streams by, and compared with what was promised.

Owns the meaning of a promise: who gave which digest. Reads and writes nothing.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from envy.declarations.sources import SourceItem
from envy.errors import DigestMismatch, FetchError

RECIPE = "the recipe"


class _Hash(Protocol):
    def update(self, data: bytes, /) -> object: ...
    def hexdigest(self) -> str: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """A digest that content must have, and who says so."""

    algorithm: str
    hexdigest: str
    by: str = RECIPE


def promises_of(item: SourceItem) -> tuple[Promise, ...]:
    """What the recipe itself promises."""
    given = (("sha256", item.sha256), ("blake3", item.blake3))
    return tuple(Promise(algorithm=name, hexdigest=value.lower()) for name, value in given if value)


class Hasher:
    """The digests of one stream: sha256 always, and each that was promised."""

    def __init__(self, promises: Sequence[Promise]) -> None:
        self._promises = tuple(promises)
        self.restart()

    def restart(self) -> None:
        """Forget all content, as for a download that begins anew."""
        names = {"sha256", *(promise.algorithm for promise in self._promises)}
        self._hashes = {name: _new_hash(name) for name in sorted(names)}

    def update(self, data: bytes) -> None:
        for each in self._hashes.values():
            each.update(data)

    @property
    def sha256(self) -> str:
        return self._hashes["sha256"].hexdigest()

    def check(self, uri: str) -> bool:
        """Compare with every promise; whether there was one.

        Raises:
            DigestMismatch: the recipe's digest is another.
            FetchError: the digest that a registry gave is another.
        """
        for promise in self._promises:
            actual = self._hashes[promise.algorithm].hexdigest()
            if actual == promise.hexdigest:
                continue
            if promise.by == RECIPE:
                raise DigestMismatch(
                    uri=uri,
                    algorithm=promise.algorithm,
                    expected=promise.hexdigest,
                    actual=actual,
                )
            raise FetchError(
                f"{promise.algorithm} of {uri} is not what {promise.by} says\n"
                f"  expected {promise.hexdigest}\n  actual   {actual}",
                uri=uri,
                hint="the file was damaged or replaced on its way; try again, and if it stays so, "
                "tell those who run the registry",
            )
        return bool(self._promises)


def _new_hash(name: str) -> _Hash:
    if name == "blake3":
        from blake3 import blake3

        hasher: _Hash = blake3()
        return hasher
    return hashlib.new(name, usedforsecurity=False)
