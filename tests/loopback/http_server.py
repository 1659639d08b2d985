"""HTTP and HTTPS servers on loopback whose replies a test sets, and a proxy.

A test adds routes (`server.routes["/x"] = Reply(b"…")`, or a list of replies, of which
the last is repeated), and reads the requests from `server.requests`.
"""

import contextlib
import http.client
import select
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit


@dataclass(frozen=True, slots=True)
class Request:
    method: str
    path: str
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Reply:
    """A reply; after `breaks_after` bytes of the body the connection is closed.

    `most` is the largest part of a range that is sent; a reply that is `silent` is none: the
    connection is closed. After `stalls_after` bytes nothing follows until the client leaves.
    """

    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    breaks_after: int | None = None
    chunked: bool = False
    ranges: bool = False
    most: int | None = None
    silent: bool = False
    stalls_after: int | None = None


Route = Reply | list[Reply] | Callable[[Request], Reply]


class _QuietServer(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        # Some tests make clients close the connection early.
        pass


class LoopbackServer:
    """A threaded server; use it as a context manager."""

    def __init__(self, *, tls: ssl.SSLContext | None = None, folder: Path | None = None) -> None:
        self.routes: dict[str, Route] = {}
        self.requests: list[Request] = []
        self.sent: dict[str, int] = {}  # bytes of bodies, by path
        self.folder = folder
        self._lock = threading.Lock()
        handler = type("Handler", (_Handler,), {"loopback": self})
        self._server = _QuietServer(("127.0.0.1", 0), handler)
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self.port: int = self._server.server_address[1]
        self.scheme = "https" if tls else "http"
        self.host = "localhost" if tls else "127.0.0.1"

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.host}:{self.port}"

    def url_with(self, user: str, password: str) -> str:
        return f"{self.scheme}://{user}:{password}@{self.host}:{self.port}"

    def paths(self) -> list[str]:
        with self._lock:
            return [request.path for request in self.requests]

    def note_sent(self, path: str, size: int) -> None:
        with self._lock:
            self.sent[path] = self.sent.get(path, 0) + size

    def answer(self, request: Request) -> Reply:
        with self._lock:
            self.requests.append(request)
            route = self.routes.get(urlsplit(request.path).path)
            if isinstance(route, list):
                route = route.pop(0) if len(route) > 1 else route[0]
        if callable(route):
            return route(request)
        return route or self._file(request) or Reply(b"no such thing", status=404)

    def _file(self, request: Request) -> Reply | None:
        if self.folder is None:
            return None
        path = self.folder / unquote(urlsplit(request.path).path).lstrip("/")
        return Reply(path.read_bytes()) if path.is_file() else None

    def __enter__(self) -> "LoopbackServer":
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    loopback: LoopbackServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # head and body are written apart; clients wait in between

    def do_GET(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        reply = self.loopback.answer(Request(self.command, self.path, headers))
        body, status = reply.body, reply.status
        if reply.silent:
            self.close_connection = True
            return
        with contextlib.suppress(ConnectionError):
            extra = dict(reply.headers)
            if reply.ranges:
                extra["Accept-Ranges"] = "bytes"
                if headers.get("range", "").startswith("bytes="):
                    first, _, last = headers["range"][6:].partition("-")
                    start, stop = int(first), int(last) + 1 if last else len(body)
                    part = body[start:stop][: reply.most]
                    end = start + len(part) - 1
                    extra["Content-Range"] = f"bytes {start}-{end}/{len(body)}"
                    body, status = part, 206
            self._send(reply, body, status, extra)

    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", "0")))
        self.do_GET()

    def do_HEAD(self) -> None:
        self.send_response(405)  # uv then requests the whole file
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _send(self, reply: Reply, body: bytes, status: int, extra: Mapping[str, str]) -> None:
        end = reply.breaks_after if reply.stalls_after is None else reply.stalls_after
        sent = body[:end]
        if not reply.chunked:
            # Before the head: an answer without a body is over when the client has that.
            self.loopback.note_sent(self.path, len(sent))
        self.send_response(status)
        for name, value in extra.items():
            self.send_header(name, value)
        if reply.chunked:
            self.send_header("Transfer-Encoding", "chunked")
        else:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if reply.chunked:
            for start in range(0, len(body), 1000):
                piece = body[start : start + 1000]
                self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            self.wfile.write(b"" if reply.breaks_after is not None else b"0\r\n\r\n")
        else:
            self.wfile.write(sent)
        if reply.stalls_after is not None:
            self.connection.recv(1)  # the client closes
            self.close_connection = True
        if reply.breaks_after is not None:
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        pass


class LoopbackProxy:
    """A forward proxy: absolute GET for http, CONNECT for https; records its requests.

    With a `refusal`, it answers every request with that status.
    """

    def __init__(self) -> None:
        self.refusal = 0
        self.requested: list[str] = []
        self.credentials: list[str] = []
        handler = type("Handler", (_ProxyHandler,), {"proxy": self})
        self._server = _QuietServer(("127.0.0.1", 0), handler)
        self.port: int = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> "LoopbackProxy":
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class _ProxyHandler(BaseHTTPRequestHandler):
    proxy: LoopbackProxy
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # head and body are written apart; clients wait in between

    def _note(self) -> None:
        self.proxy.requested.append(f"{self.command} {self.path}")
        self.proxy.credentials.append(self.headers.get("Proxy-Authorization", ""))

    def _refuses(self) -> bool:
        if self.proxy.refusal:
            self.send_response(self.proxy.refusal, "no \x1b[31m")
            self.send_header("Content-Length", "0")
            self.end_headers()
        return bool(self.proxy.refusal)

    def do_GET(self) -> None:
        self._note()
        if self._refuses():
            return
        parts = urlsplit(self.path)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port)
        connection.request("GET", parts.path, headers={"Host": parts.netloc})
        answer = connection.getresponse()
        body = answer.read()
        self.send_response(answer.status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        connection.close()

    def do_CONNECT(self) -> None:
        self._note()
        if self._refuses():
            return
        host, _, port = self.path.partition(":")
        with socket.create_connection((host, int(port))) as upstream:
            self.send_response(200)
            self.end_headers()
            _pump(self.connection, upstream)
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        pass


def _pump(one: socket.socket, other: socket.socket) -> None:
    while True:
        for ready in select.select([one, other], [], [])[0]:
            data = ready.recv(65536)
            if not data:
                return
            (other if ready is one else one).sendall(data)


@contextlib.contextmanager
def serving_tls(folder: Path) -> Iterator[tuple[LoopbackServer, Path]]:
    """Yield an HTTPS server for `localhost`, and the certificate of its authority."""
    import trustme

    authority = trustme.CA()
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(tls)
    certificates = folder / "authority.pem"
    authority.cert_pem.write_to_path(str(certificates))
    with LoopbackServer(tls=tls) as server:
        yield server, certificates
