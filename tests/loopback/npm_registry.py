"""An npm registry on loopback, and tarballs created by a test."""

import base64
import hashlib
import io
import json
import tarfile
from collections.abc import Mapping

from .http_server import LoopbackServer, Reply, Request


def make_npm_tarball(files: Mapping[str, str], *, executable: tuple[str, ...] = ()) -> bytes:
    """Return a tarball as npm creates it, with everything below `package/`."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(f"package/{name}")
            info.size = len(content.encode())
            info.mode = 0o755 if name in executable else 0o644
            tar.addfile(info, io.BytesIO(content.encode()))
    return stream.getvalue()


class FakeNpmRegistry:
    """Serves the document of each package and its tarballs; `token` is required if set."""

    def __init__(self, server: LoopbackServer, *, token: str = "", prefix: str = "") -> None:
        self.server = server
        self.url = f"{server.url}{prefix}/"
        self._prefix = prefix
        self._token = token
        self._versions: dict[str, dict[str, object]] = {}

    def add(
        self,
        name: str,
        version: str,
        content: bytes,
        *,
        integrity: str | None = None,
        tarball: str = "",
        deprecated: str = "",
        programs: Mapping[str, str] | None = None,
    ) -> None:
        """Publish a version; `integrity` is its value in the document, "" for a sha1 only."""
        path = f"{self._prefix}/{name}/-/{name.rpartition('/')[2]}-{version}.tgz"
        right = "sha512-" + base64.b64encode(hashlib.sha512(content).digest()).decode()
        dist = {
            "tarball": tarball or f"{self.server.url}{path}",
            "shasum": hashlib.sha1(content).hexdigest(),
        }
        if integrity != "":
            dist["integrity"] = integrity or right
        release: dict[str, object] = {"name": name, "version": version, "dist": dist}
        if deprecated:
            release["deprecated"] = deprecated
        if programs:
            release["bin"] = programs
        self._versions.setdefault(name, {})[version] = release
        self.server.routes[path] = lambda request: self._permitted(request, Reply(content))
        document = f"{self._prefix}/{name.replace('/', '%2F')}"
        self.server.routes[document] = lambda request: self._permitted(
            request, Reply(json.dumps({"name": name, "versions": self._versions[name]}).encode())
        )

    def _permitted(self, request: Request, reply: Reply) -> Reply:
        if self._token and request.headers.get("authorization") != f"Bearer {self._token}":
            return Reply(b"no token", status=401)
        return reply
