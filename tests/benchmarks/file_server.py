"""A fast HTTP server on loopback for measurements: file_server.py FOLDER prints its port.

It answers GET with or without a range, keeps connections open, and sends by sendfile, so that the
client is what is measured.
"""

import os
import re
import socket
import sys
import threading

_REQUEST = re.compile(rb"GET /(\S*) HTTP/1\.1\r\n")
_RANGE = re.compile(rb"\r\nrange: bytes=(\d+)-(\d*)\r\n", re.IGNORECASE)


def serve(folder):
    """Serve the files of a folder until the process is ended."""
    listening = socket.create_server(("127.0.0.1", 0), backlog=256)
    print(listening.getsockname()[1], flush=True)
    while True:
        connection, _ = listening.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=_answer, args=(connection, folder), daemon=True).start()


def _answer(connection, folder):
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
                _send(connection, folder, request + b"\r\n")
            except OSError:
                return


def _send(connection, folder, request):
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
            start += os.sendfile(connection.fileno(), file, start, stop - start)
    finally:
        os.close(file)


if __name__ == "__main__":
    serve(sys.argv[1])
