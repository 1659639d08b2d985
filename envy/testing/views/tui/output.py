"""The output of tests as the terminal view keeps it: by test, in the order in which it came."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection
from itertools import chain

_FRAMES = ("=== RUN ", "=== PAUSE ", "=== CONT ", "=== NAME ")
KEPT = 8 << 20  # characters of one test, half from each end

_Piece = tuple[int, str]  # the order, the text


class TestLog:
    """The output of one test without its subtests, or of a package outside its tests."""

    __slots__ = ("_left_out", "_room", "_tail", "_tail_size", "head")
    __test__ = False

    def __init__(self, limit: int = KEPT) -> None:
        self.head: list[_Piece] = []
        self._room = limit // 2
        self._tail: deque[_Piece] = deque()
        self._tail_size = 0
        self._left_out = 0

    def add(self, order: int, text: str, *, limit: int = KEPT) -> None:
        """Append a piece; the middle of what is too long is left out."""
        if self._room >= len(text):
            self.head.append((order, text))
            self._room -= len(text)
            return
        self._room = 0
        self._tail.append((order, text))
        self._tail_size += len(text)
        while len(self._tail) > 1 and self._tail_size > limit // 2:
            _, dropped = self._tail.popleft()
            self._tail_size -= len(dropped)
            self._left_out += len(dropped)

    def pieces(self) -> list[_Piece]:
        """Return the pieces that were kept, with a line in place of the others."""
        if not self._tail:
            return self.head
        note = f"\n... envy left out {self._left_out} characters of output ...\n"
        left_out = [(self._tail[0][0], note)] if self._left_out else []
        return [*self.head, *left_out, *self._tail]


class Output:
    """The output of all packages."""

    def __init__(self) -> None:
        self._logs: dict[str, dict[str, TestLog]] = {}
        self._order = 0
        self._versions: dict[str, int] = {}

    def version(self, package: str) -> int:
        """Return a number that is another one when the output of a package has changed."""
        return self._versions.get(package, 0)

    def add(self, package: str, test: str, text: str) -> None:
        """Append a piece of a test's output; `test` is "" for the package itself."""
        logs = self._logs.setdefault(package, {})
        log = logs.get(test)
        if log is None:
            log = logs[test] = TestLog()
        self._order += 1
        self._versions[package] = self._order
        log.add(self._order, text)

    def drop(self, package: str, test: str) -> None:
        """Forget the output of one test."""
        if self._logs.get(package, {}).pop(test, None) is not None:
            self._changed(package)

    def drop_package(self, package: str) -> None:
        """Forget the output of a package and its tests."""
        if self._logs.pop(package, None) is not None:
            self._changed(package)

    def clear(self) -> None:
        """Forget everything."""
        for package in list(self._logs):
            self.drop_package(package)

    def _changed(self, package: str) -> None:
        self._order += 1
        self._versions[package] = self._order

    def text(self, package: str, tests: Collection[str] | None, *, raw: bool) -> str:
        """Return the output of these tests, all of them for None; without framing unless `raw`."""
        logs = self._logs.get(package, {})
        chosen = logs.values() if tests is None else [logs[name] for name in tests if name in logs]
        parts = [log.pieces() for log in chosen]
        pieces = parts[0] if len(parts) == 1 else sorted(chain.from_iterable(parts))
        return "".join(text for _, text in pieces if raw or not text.startswith(_FRAMES))
