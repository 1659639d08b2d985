"""An HTTP server on loopback that stores objects, and can misbehave in ways a test chooses."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class _QuietServer(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        pass


class DepotServer:
    """Objects by path; `answers` maps a method to the status and body that it gets instead.

    `folders`, if there are any, are all in which objects and folders can be created (RFC 4918).
    An answer may also be "break", which closes the connection, or "stall", which never comes.
    """

    def __init__(self):
        self.objects = {}
        self.folders = set()
        self.answers = {}
        self.requests = []
        self._ended = threading.Event()
        handler = type("Handler", (_Handler,), {"depot": self})
        self._server = _QuietServer(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/depot"

    def __enter__(self):
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self._ended.set()
        self._server.shutdown()
        self._server.server_close()

    def wait(self):
        """Wait until the server ends."""
        self._ended.wait()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def _body(self):
        return self.rfile.read(int(self.headers.get("Content-Length", "0")))

    def _answer(self, status, body=b"", *, head=False):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if not head:
            self.wfile.write(body)

    def _is_odd(self):
        self.depot.requests.append((self.command, self.path, dict(self.headers)))
        given = self.depot.answers.get(self.command)
        if given is None:
            return False
        if self.command == "PUT":
            self._body()
        if given in {"break", "stall"}:
            if given == "stall":
                self.depot.wait()
            self.close_connection = True
        else:
            self._answer(*given, head=self.command == "HEAD")
        return True

    def do_GET(self):
        if not self._is_odd():
            body = self.depot.objects.get(self.path)
            self._answer(404) if body is None else self._answer(200, body)

    def do_HEAD(self):
        if not self._is_odd():
            body = self.depot.objects.get(self.path)
            self._answer(404 if body is None else 200, body or b"", head=True)

    def do_PUT(self):
        if not self._is_odd():
            body = self._body()
            if self._is_homeless(self.path):
                self._answer(409)
                return
            is_new = self.depot.objects.setdefault(self.path, body) is body
            self._answer(201 if is_new else 412)

    def do_MKCOL(self):
        if not self._is_odd():
            if not self.depot.folders:
                self._answer(501)
            elif self.path in self.depot.folders:
                self._answer(405)
            elif self._is_homeless(self.path.rstrip("/")):
                self._answer(409)
            else:
                self.depot.folders.add(self.path)
                self._answer(201)

    def _is_homeless(self, path):
        folder = f"{path.rpartition('/')[0]}/"
        return bool(self.depot.folders) and folder not in self.depot.folders

    def do_DELETE(self):
        if not self._is_odd():
            self._answer(204 if self.depot.objects.pop(self.path, None) else 404)

    def log_message(self, *_):
        pass
