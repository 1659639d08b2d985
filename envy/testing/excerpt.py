"""The beginning and the end of a text that may be too long to keep."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator


class Excerpt:
    """Collects a text piece by piece; keeps about `limit` characters, half from each end."""

    __slots__ = ("_half", "_head", "_left_out", "_room", "_tail", "_tail_size")

    def __init__(self, limit: int) -> None:
        self._half = limit // 2
        self._room = self._half
        self._head: list[str] = []
        self._tail: deque[str] = deque()
        self._tail_size = 0
        self._left_out = 0

    def add(self, piece: str) -> None:
        """Append a piece of text."""
        if self._room > 0 and len(piece) <= self._half:
            self._head.append(piece)
            self._room -= len(piece)
            return
        self._room = 0
        self._tail.append(piece)
        self._tail_size += len(piece)
        while self._tail_size - len(self._tail[0]) > self._half:
            dropped = self._tail.popleft()
            self._tail_size -= len(dropped)
            self._left_out += len(dropped)

    def __iter__(self) -> Iterator[str]:
        """Yield the pieces that were kept, with a line in place of the others."""
        yield from self._head
        if self._left_out:
            yield f"\n... envy left out {self._left_out} characters of output ...\n"
        yield from self._tail
