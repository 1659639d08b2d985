"""Reading a stream ahead, in a thread of its own: decompression beside the writing of files."""

import contextlib
import queue
import threading
from collections.abc import Iterator
from typing import IO

from envy.content.extra_threads import extra_thread

CHUNK = 1 << 20
_AHEAD = 4  # chunks


def chunks_of(stream: IO[bytes]) -> Iterator[bytes]:
    """Yield the content of a stream in chunks."""
    return iter(lambda: stream.read(CHUNK), b"")


class _Ahead:
    """The chunks that have been read and not been taken yet."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._room = threading.Semaphore(_AHEAD)
        self._ready: queue.SimpleQueue[bytes | BaseException] = queue.SimpleQueue()
        self._stopped = False

    def read(self) -> None:
        """Read to the end, or until `stop` is called."""
        try:
            while True:
                self._room.acquire()
                if self._stopped:
                    return
                data = self._stream.read(CHUNK)
                self._ready.put(data)
                if not data:
                    return
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that takes
            self._ready.put(error)

    def stop(self) -> None:
        self._stopped = True
        self._room.release()

    def chunks(self) -> Iterator[bytes]:
        """Yield the chunks; raises what reading raised."""
        while data := self._ready.get():
            if isinstance(data, BaseException):
                raise data
            self._room.release()
            yield data


@contextlib.contextmanager
def chunks_ahead(stream: IO[bytes]) -> Iterator[Iterator[bytes]]:
    """Give the content of a stream in chunks, the next of which are read meanwhile.

    The stream is not used any more when the context is left.
    """
    ahead = _Ahead(stream)
    with extra_thread(ahead.read, ahead.stop) as is_running:
        if not is_running:
            yield chunks_of(stream)
            return
        try:
            yield ahead.chunks()
        finally:
            ahead.stop()
