"""What a depot needs of the place where its objects are: a folder, or a server."""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from envy.errors import FetchError
from envy.transport.context import FetchContext


class ReadOnly(FetchError):
    """The place of a depot takes no objects from this user."""


class Unreadable(FetchError):
    """One object cannot be read, for example because of its permissions; others may be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredObject:
    """An object of a depot: its name, its size in bytes, and when it was last used.

    `is_unfinished`: it is what a killed writer left, or is being written now.
    """

    name: str
    size: int
    used_at: float
    is_unfinished: bool = False


class Shelf(Protocol):
    """The place of a depot. Names are those of `object_names`, with slashes."""

    shown: str  # its URL without credentials

    def open(self, name: str, into: Path, context: FetchContext) -> AbstractContextManager[Path]:
        """Return a file with an object, at a path in `into` or where it is.

        Raises:
            NotFound: there is no such object; NoAnswer: the place cannot be reached.
            Unreadable: this object cannot be read; FetchError: the place cannot be read.
        """

    def beginning(
        self, name: str, size: int, into: Path, context: FetchContext
    ) -> AbstractContextManager[Path]:
        """Return a file that has at least the first `size` bytes of an object, or all of it.

        Raises:
            FetchError: it cannot be read.
        """

    def has(self, name: str, context: FetchContext) -> bool:
        """Return whether there is an object with this name, which then counts as used.

        Raises:
            FetchError: the place cannot be asked.
        """

    def store(self, name: str, content: Path, context: FetchContext) -> bool:
        """Store an object, whole or not at all; False if there is one with this name.

        Raises:
            ReadOnly: this user may not; FetchError: it cannot be stored.
        """

    def listed(self, context: FetchContext) -> Iterator[StoredObject]:
        """Yield every object, and what of one was left unfinished.

        Raises:
            UsageError: the place cannot be listed; FetchError: it cannot be read.
        """

    def remove(self, name: str, context: FetchContext) -> None:
        """Remove an object, if it is there.

        Raises:
            ReadOnly: this user may not; FetchError: it cannot be removed.
        """
