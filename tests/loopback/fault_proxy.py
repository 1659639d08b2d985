"""A TCP proxy on loopback that damages connections: what it passes on is cut, reset or changed."""

import contextlib
import socket
import struct
import threading

_CHUNK = 1 << 14
_RESET = struct.pack("ii", 1, 0)  # linger for no time: the peer gets RST in the place of FIN
FAULTS = ("cut", "reset", "flip", "stall")


class FaultProxy:
    """Passes on what a server and its clients send.

    `fault` is called for each connection and returns "" or a fault and after how many bytes of the
    server's answers it happens.
    """

    def __init__(self, port):
        self._to = ("127.0.0.1", port)
        self.fault = lambda: ("", 0)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self.url = f"grpc://127.0.0.1:{self.port}"
        self._open = []

    def __enter__(self):
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        for each in (self._listening, *self._open):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                self._open.append(client)
                try:
                    server = socket.create_connection(self._to)
                except OSError:
                    client.close()
                    continue
                self._open.append(server)
                pairs = ((client, server, ("", 0)), (server, client, self.fault()))
                for pair in pairs:
                    threading.Thread(target=self._pass_on, args=pair, daemon=True).start()

    def _pass_on(self, source, target, planned):
        fault, left = planned
        with contextlib.suppress(OSError):
            while data := source.recv(_CHUNK):
                if fault and len(data) >= left:
                    if fault == "flip":
                        at = max(left - 1, 0)
                        data = data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1 :]
                        fault = ""
                    else:
                        target.sendall(data[:left])
                        if fault == "stall":
                            return  # both stay open, and nothing more comes
                        break
                left -= len(data)
                target.sendall(data)
        if fault == "reset":
            for each in (source, target):
                with contextlib.suppress(OSError):
                    each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                    each.shutdown(socket.SHUT_RD)  # or the thread that reads it keeps it open
        for each in (source, target):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR) if fault != "reset" else each.close()
