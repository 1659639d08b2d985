"""An OCI registry on loopback: blobs and manifests, with tokens as the protocol has them."""

import base64
import contextlib
import hashlib
import http.client
import re
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from .http_server import LoopbackServer, Reply, Request


class FakeOciRegistry:
    """Serves `/v2/…`; with a `user`, a token is needed, which only this user gets.

    `asked` are the scopes for which a token was requested.
    """

    def __init__(self, server: LoopbackServer, *, user: str = "", scheme: str = "Bearer") -> None:
        self.server = server
        self.host = f"127.0.0.1:{server.port}"
        self.user = user
        self.token = "t0ken-1"
        self.asked: list[str] = []
        self._scheme = scheme
        server.routes["/token"] = self._give_token

    def add(self, repository: str, content: bytes, *, kind: str = "blobs", **reply: object) -> str:
        """Publish a blob or a manifest; return its source."""
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        found = Reply(content, **reply)  # type: ignore[arg-type]
        path = f"/v2/{repository}/{kind}/{digest}"
        self.server.routes[path] = lambda request: self._permitted(request, repository, found)
        if kind == "manifests":
            nothing = Reply(b'{"errors": [{"code": "BLOB_UNKNOWN"}]}', status=404)
            self.server.routes[path.replace("manifests", "blobs")] = lambda request: (
                self._permitted(request, repository, nothing)
            )
        return f"oci:{self.host}/{repository}@{digest}"

    def _is_user(self, request: Request) -> bool:
        encoded = base64.b64encode(self.user.encode()).decode()
        return request.headers.get("authorization") == f"Basic {encoded}"

    def _permitted(self, request: Request, repository: str, reply: Reply) -> Reply:
        is_bearer = self._scheme == "Bearer"
        given = request.headers.get("authorization")
        if given == f"Bearer {self.token}" if is_bearer else self._is_user(request):
            return reply
        challenge = f'{self._scheme} realm="{self.server.url}/token"'
        if is_bearer:
            challenge += f',service="registry",scope="repository:{repository}:pull"'
        return Reply(status=401, headers={"WWW-Authenticate": challenge})

    def _give_token(self, request: Request) -> Reply:
        self.asked += parse_qs(urlsplit(request.path).query)["scope"]
        if self.user and not self._is_user(request):
            return Reply(status=401)
        return Reply(f'{{"token": "{self.token}"}}'.encode())


@contextlib.contextmanager
def serving_registry(folder: Path) -> Iterator[str]:
    """Run the registry of Debian's package `docker-registry`; yield its host and port."""
    folder.mkdir()
    config = folder / "config.yml"
    config.write_text(
        f"version: 0.1\nstorage: {{filesystem: {{rootdirectory: {folder}/data}}}}\n"
        "http: {addr: 127.0.0.1:0}\n"
    )
    words = ["docker-registry", "serve", str(config)]
    process = subprocess.Popen(words, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    assert process.stderr is not None
    try:
        host = ""
        while not host:
            line = process.stderr.readline()
            assert line, "the registry ended before it listened"
            found = re.search(r"listening on ([\d.]+:\d+)", line)
            host = found[1] if found else ""
        threading.Thread(target=process.stderr.read, daemon=True).start()
        yield host
    finally:
        process.terminate()
        process.wait()


def push_blob(host: str, repository: str, content: bytes) -> str:
    """Push a blob to a registry as its clients do; return its source."""
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    connection = http.client.HTTPConnection(host)
    connection.request("POST", f"/v2/{repository}/blobs/uploads/")
    answer = connection.getresponse()
    answer.read()
    parts = urlsplit(answer.headers["Location"])
    path = f"{parts.path}?{parts.query}{'&' if parts.query else ''}digest={digest}"
    connection.request(
        "PUT", path, body=content, headers={"Content-Type": "application/octet-stream"}
    )
    assert connection.getresponse().status == 201
    connection.close()
    return f"oci:{host}/{repository}@{digest}"
