"""A server of one file at a time, which sends its last part only when a test lets it."""

import re
import socket
import threading

_RANGE = re.compile(rb"\r\nrange: bytes=(\d+)-(\d*)\r\n", re.IGNORECASE)
_LONGEST = 120  # seconds


class SlowServer:
    """Sends `first` bytes of `data`, then a byte now and then until `go_on()`, then the rest.

    A part of the end is sent at once, or when `answers_for_end` is set. With `breaks`, the
    connection ends in place of the rest. `others` are files that are sent at once, by path. With
    `surplus`, what continues the file is followed by these bytes as soon as `go_further()`.
    """

    def __init__(self):
        self.data = b""
        self.version = "1"
        self.first = 1 << 62
        self.go_on = lambda: True
        self.breaks = False
        self.others = {}
        self.surplus = b""
        self.go_further = lambda: True
        self.answers_for_end = threading.Event()
        self.answers_for_end.set()
        self.went_on = False  # whether `go_on` has ever returned true
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection):
        request = b""
        with connection:
            try:
                while b"\r\n\r\n" not in request:
                    request += connection.recv(65536) or b"\r\n\r\n"
                other = self.others.get(request.split()[1].decode())
                if other is None:
                    self._send(connection, request)
                else:
                    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"
                    connection.sendall(head % len(other) + other)
            except OSError:
                pass

    def _send(self, connection, request):
        data, version = self.data, self.version
        start, stop, status = 0, len(data), "200 OK"
        extra = ""
        wanted = _RANGE.search(request)
        if wanted and (b'"%s"' % version.encode()) in request:
            start = int(wanted[1])
            stop = int(wanted[2]) + 1 if wanted[2] else stop
            status, extra = "206 Part", f"Content-Range: bytes {start}-{stop - 1}/{len(data)}\r\n"
        is_end = wanted and wanted[2]
        surplus = self.surplus if start and not is_end else b""
        length = stop - start + len(surplus)
        connection.sendall(
            f"HTTP/1.1 {status}\r\nContent-Length: {length}\r\nAccept-Ranges: bytes\r\n"
            f'ETag: "{version}"\r\nConnection: close\r\n{extra}\r\n'.encode()
        )
        if is_end:
            self.answers_for_end.wait(_LONGEST)
        held = start if is_end else max(start, self.first)
        connection.sendall(data[start : min(stop, max(held, start))])
        at = min(stop, max(held, start))
        waiting = threading.Event()
        for _ in range(_LONGEST * 50):
            if is_end or at >= stop - 1:
                break
            if self.go_on():
                self.went_on = True
                break
            connection.sendall(data[at : at + 1])
            at += 1
            waiting.wait(0.02)
        if self.breaks and not is_end:
            self.breaks = False
            return
        connection.sendall(data[at:stop])
        if surplus:
            self._send_surplus(connection, surplus)

    def _send_surplus(self, connection, surplus):
        self.surplus = b""
        waiting = threading.Event()
        for _ in range(_LONGEST * 50):
            if self.go_further():
                break
            waiting.wait(0.02)
        connection.sendall(surplus)

    def close(self):
        self._listening.close()
