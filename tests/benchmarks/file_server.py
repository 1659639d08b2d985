"""A fast HTTP server on loopback for measurements: file_server.py FOLDER [RATE] prints its port.

It answers GET with or without a range, keeps connections open, and sends by sendfile, so that the
client is what is measured. With a rate, all connections together get so many bytes a second.
"""

import os
import re
import socket
import sys
import threading
import time

_REQUEST = re.compile(rb"GET /(\S*) HTTP/1\.1\r\n")
_RANGE = re.compile(rb"\r\nrange: bytes=(\d+)-(\d*)\r\n", re.IGNORECASE)


_PIECE = 1 << 18


class Line:
    """What all connections share, if it has a rate."""

    def __init__(self, rate):
        self.rate = rate
        self._lock = threading.Lock()
        self._free_at = 0.0

    def wait(self, size):
        """Wait until so many bytes have passed."""
        with self._lock:
            now = time.monotonic()
            self._free_at = max(self._free_at, now) + size / self.rate
            left = self._free_at - now
        time.sleep(left)


def serve(folder, rate=0.0):
    """Serve the files of a folder until the process is ended."""
    line = Line(rate) if rate else None
    listening = socket.create_server(("127.0.0.1", 0), backlog=256)
    print(listening.getsockname()[1], flush=True)
    while True:
        connection, _ = listening.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=_answer, args=(connection, folder, line), daemon=True).start()


def _answer(connection, folder, line):
    pending = b""
    with connection:
        while True:
            while b"\r\n\r\n" not in pending:
                data = connection.recv(65536)
                if not data:
                    return
                pending += data
            request, _, pending = pending.partition(b"\r\n\r\n")
            try:
                _send(connection, folder, request + b"\r\n", line)
            except OSError:
                return


def _send(connection, folder, request, line):
    name = _REQUEST.match(request)[1].decode()
    file = os.open(f"{folder}/{name}", os.O_RDONLY)
    try:
        size = os.fstat(file).st_size
        wanted = _RANGE.search(request)
        start, stop = 0, size
        status, extra = "200 OK", ""
        if wanted:
            start = int(wanted[1])
            stop = min(size, int(wanted[2]) + 1) if wanted[2] else size
            status, extra = (
                "206 Partial Content",
                f"Content-Range: bytes {start}-{stop - 1}/{size}\r\n",
            )
        head = (
            f"HTTP/1.1 {status}\r\nContent-Length: {stop - start}\r\nAccept-Ranges: bytes\r\n"
            f'ETag: "{size}"\r\n{extra}\r\n'
        )
        connection.sendall(head.encode(), socket.MSG_MORE if stop > start else 0)
        while start < stop:
            size = stop - start if line is None else min(stop - start, _PIECE)
            sent = os.sendfile(connection.fileno(), file, start, size)
            start += sent
            if line is not None:
                line.wait(sent)
    finally:
        os.close(file)


if __name__ == "__main__":
    serve(sys.argv[1], *map(float, sys.argv[2:]))
