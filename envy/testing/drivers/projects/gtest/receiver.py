"""The socket to which a GoogleTest program sends its results."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Sequence

from envy.testing.drivers.projects.serial import Ended

_LOCAL = "127.0.0.1"
_MOST_WAITING = 128  # connections


class Receiver:
    """Listens for one process, on this machine only; `take` reads what it sends.

    The first connection counts, which the process makes before any test of it runs.
    """

    def __init__(self, take: Callable[[bytes], Sequence[Ended]]) -> None:
        self._take = take
        self._connection: socket.socket | None = None
        self._listener = socket.socket()
        self._listener.bind((_LOCAL, 0))
        self._listener.listen(_MOST_WAITING)
        self._listener.settimeout(0)
        self.address = f"{_LOCAL}:{self._listener.getsockname()[1]}"

    def read(self) -> list[Ended]:
        """Return the results since the last call."""
        found: list[Ended] = []
        with contextlib.suppress(OSError):  # nothing has come, or the process has ended
            if self._connection is None:
                self._connection, _ = self._listener.accept()
                self._connection.settimeout(0)
            self._refuse_others()
            while chunk := self._connection.recv(1 << 16):
                found += self._take(chunk)
        return found

    def _refuse_others(self) -> None:
        """Close what else connects: the child of a death test, which has no results of its own.

        It would wait for ever, if nothing took its connection.
        """
        with contextlib.suppress(BlockingIOError):
            while True:
                self._listener.accept()[0].close()

    def close(self) -> None:
        """Close the socket."""
        self._listener.close()
        if self._connection is not None:
            self._connection.close()
