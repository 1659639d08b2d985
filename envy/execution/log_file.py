"""The file of a log, which keeps the head and the tail of what is written to it.

Guarantees
  The file never becomes larger than its limit, and holds whole lines.
  At any moment, the file is the log so far: its head, how much was left out, and its tail.
"""

from io import FileIO
from pathlib import Path

from envy.cache.write import prune_logs
from envy.limits import SCRIPT_LOG, shown_size


class LogFile:
    """An open log. Half of its limit is its head; the tail is between a quarter and a half."""

    __slots__ = ("_file", "_head", "_left_out", "_path", "_size")

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = _open(path)
        self._size = self._file.seek(0, 2)
        self._head = min(self._size, SCRIPT_LOG.value // 2)
        self._left_out = 0

    def write(self, lines: bytes) -> None:
        """Append whole lines."""
        if self._head == self._size:
            room = max(0, SCRIPT_LOG.value // 2 - self._size)
            fits = len(lines) <= room
            self._head += len(lines) if fits else lines.rfind(b"\n", 0, room) + 1
        self._append(lines)
        if self._size > SCRIPT_LOG.value:
            self._shorten()

    def close(self) -> None:
        self._file.close()

    def _append(self, data: bytes) -> None:
        self._size += len(data)
        view = memoryview(data)
        while view:
            view = view[self._file.write(view) or 0 :]

    def _shorten(self) -> None:
        """Leave out what is between the head and the last quarter of the limit."""
        kept = SCRIPT_LOG.value // 4
        with self._path.open("rb") as file:
            file.seek(max(self._head, self._size - kept))
            tail = file.read(kept).partition(b"\n")[2]
        self._left_out += self._size - self._head - len(tail)
        said = f"[envy] {self._left_out} bytes are left out here: the limit {SCRIPT_LOG.name} is "
        note = f"{said}{shown_size(SCRIPT_LOG.value)}\n".encode()
        self._left_out -= len(note)  # the next shortening leaves out this line, too
        self._file.truncate(self._head)
        self._size = self._head
        self._append(note + tail)


def _open(path: Path) -> FileIO:
    # Unbuffered: writes are whole chunks, and a chunk that failed must not be written again.
    while True:
        if not path.parent.is_dir():
            # Keep the logs of five attempts, this one included, whatever their outcomes.
            prune_logs(path.parent.parent, keep=4)
            path.parent.mkdir(parents=True, exist_ok=True)
        try:
            return path.open("ab", buffering=0)
        except FileNotFoundError:
            # Another process may have pruned this attempt as an old one.
            if path.parent.is_dir():
                raise
