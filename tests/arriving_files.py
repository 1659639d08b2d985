"""Archives that are unpacked while they arrive, in pieces, from another thread."""

import contextlib
import threading
from itertools import cycle

from envy.content.archive import extract_below
from envy.content.arriving import Arriving
from envy.content.below_root import open_below
from envy.content.extraction import judge_links


class Sender:
    """Writes the bytes of a file piece by piece, and answers for parts of it.

    `tail` is what it answers with instead; it waits before the last `held` bytes until `let_go`,
    which is when it has answered so.
    """

    def __init__(self, path, data, *, pieces=(1000, 1, 70_000), tail=None, held=0):
        self.data = data
        self.asked = []
        self.let_go = threading.Event()
        self._pieces = pieces
        self._tail = tail
        self._held = held
        self._file = path.open("w+b", buffering=0)
        self.arriving = Arriving(str(path), self._file.fileno(), len(data), self._answer)
        self._thread = threading.Thread(target=self._send, daemon=True)

    def _answer(self, start, stop):
        self.asked.append((start, stop))
        if self._tail is not None:
            self.let_go.set()
        return (self.data if self._tail is None else self._tail)[start:stop]

    def _send(self):
        done = 0
        for size in cycle(self._pieces):
            if done >= len(self.data):
                return
            if done >= len(self.data) - self._held:
                self.let_go.wait()
            self._file.write(self.data[done : done + size])
            done = min(done + size, len(self.data))
            self.arriving.note(done)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self.let_go.set()
        self._thread.join()
        self._file.close()
        self.arriving.close()


def extract_while_it_arrives(archive, dest, part, **details):
    """Unpack the bytes of an archive that arrive at `part`; return (files, whether confirmed)."""
    with Sender(part, archive.read_bytes(), **details) as sender, open_below(dest) as below:
        try:
            count = extract_below(archive, below, (), arriving=sender.arriving)
            judge_links(below)
        except BaseException:
            with contextlib.suppress(OSError):
                sender.let_go.set()
            raise
        return count, sender.arriving.is_confirmed()
