"""Repositories over HTTP as hosts serve them: git's own program for it, and the API of Git LFS."""

import base64
import json
import os
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit


class GitHttpServer:
    """Serves the repositories in a folder; use it as a context manager.

    With a `user`, as `NAME:PASSWORD`, all others are refused. `stored` is what Git LFS has, by
    digest. `sent` are the bytes that were sent.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.user = ""
        self.stored: dict[str, bytes] = {}
        self.sent = 0
        handler = type("Handler", (_Handler,), {"server_of": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self.host = f"127.0.0.1:{self._server.server_address[1]}"
        self.url = f"http://{self.host}"

    def __enter__(self) -> "GitHttpServer":
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    server_of: GitHttpServer

    def do_GET(self) -> None:
        self._answer(b"")

    def do_POST(self) -> None:
        self._answer(self.rfile.read(int(self.headers.get("Content-Length") or 0)))

    def _answer(self, body: bytes) -> None:
        user = self.server_of.user
        wanted = f"Basic {base64.b64encode(user.encode()).decode()}"
        path = urlsplit(self.path).path
        if user and self.headers.get("Authorization") != wanted:
            self._send(401, {"WWW-Authenticate": 'Basic realm="git"'}, b"")
        elif path.endswith("/info/lfs/objects/batch"):
            self._batch(body)
        elif path.startswith("/lfs/"):
            self._send(200, {}, self.server_of.stored[path[5:]])
        else:
            self._run_git(body)

    def _batch(self, body: bytes) -> None:
        objects = [
            {**row, "actions": {"download": {"href": f"{self.server_of.url}/lfs/{row['oid']}"}}}
            for row in json.loads(body)["objects"]
        ]
        kind = {"Content-Type": "application/vnd.git-lfs+json"}
        self._send(200, kind, json.dumps({"transfer": "basic", "objects": objects}).encode())

    def _run_git(self, body: bytes) -> None:
        parts = urlsplit(self.path)
        environment = {
            "PATH": os.environ["PATH"],
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_PROJECT_ROOT": str(self.server_of.folder),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            "REQUEST_METHOD": self.command,
            "PATH_INFO": parts.path,
            "QUERY_STRING": parts.query,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
        }
        run = subprocess.run(
            ["git", "http-backend"], env=environment, input=body, capture_output=True, check=False
        )
        head, _, content = run.stdout.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
        self._send(int(headers.pop("Status", "200").split()[0]), headers, content)

    def _send(self, status: int, headers: dict[str, str], content: bytes) -> None:
        self.server_of.sent += len(content)
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass
