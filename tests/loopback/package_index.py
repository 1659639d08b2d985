"""A Python package index on loopback: JSON or HTML pages, and wheels created by a test."""

import hashlib
import io
import json
import tarfile
import zipfile
from collections.abc import Mapping

from .http_server import LoopbackServer, Reply, Request

JSON_TYPE = "application/vnd.pypi.simple.v1+json"


def make_wheel(files: Mapping[str, str | bytes], *, executable: tuple[str, ...] = ()) -> bytes:
    """Return the bytes of a wheel; `executable` names the members with that bit."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as wheel:
        for name, content in files.items():
            info = zipfile.ZipInfo(name, date_time=(2020, 1, 2, 3, 4, 6))
            info.create_system = 3
            info.external_attr = (0o100755 if name in executable else 0o100644) << 16
            wheel.writestr(info, content)
    return stream.getvalue()


def make_sdist(root: str, files: Mapping[str, str]) -> bytes:
    """Return the bytes of a source archive."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(f"{root}/{name}")
            info.size = len(content.encode())
            tar.addfile(info, io.BytesIO(content.encode()))
    return stream.getvalue()


class FakePackageIndex:
    """Serves `/simple/NAME/` and `/files/…`; `form` is "json" or "html"."""

    def __init__(self, server: LoopbackServer, *, form: str = "json") -> None:
        self.server = server
        self.form = form
        self.url = f"{server.url}/simple"
        self._files: dict[str, list[dict[str, object]]] = {}

    def add(
        self,
        project: str,
        filename: str,
        content: bytes,
        *,
        yanked: str | None = None,
        digest: str | None = None,
        url: str = "",
        uploaded: str = "",
    ) -> None:
        """Publish a file; `digest` and `url` are those on the page, "" for no digest."""
        claimed = hashlib.sha256(content).hexdigest() if digest is None else digest
        row = {
            "filename": filename,
            "url": url or f"../../files/{filename}",
            "hashes": {"sha256": claimed} if claimed else {},
            "yanked": False if yanked is None else yanked or True,
        }
        if uploaded:
            row["upload-time"] = uploaded
        self._files.setdefault(project, []).append(row)
        self.server.routes[f"/files/{filename}"] = Reply(content)
        self.server.routes[f"/simple/{project}/"] = lambda request: self._page(request, project)

    def _page(self, request: Request, project: str) -> Reply:
        rows = self._files[project]
        if self.form == "json" and JSON_TYPE in request.headers.get("accept", ""):
            body = json.dumps({"meta": {"api-version": "1.0"}, "name": project, "files": rows})
            return Reply(body.encode(), headers={"Content-Type": JSON_TYPE})
        return Reply(self.html(project).encode(), headers={"Content-Type": "text/html"})

    def html(self, project: str) -> str:
        lines = []
        for row in self._files[project]:
            digest = row["hashes"].get("sha256")  # type: ignore[attr-defined]
            fragment = f"#sha256={digest}" if digest else ""
            yanked = row["yanked"]
            mark = f' data-yanked="{yanked if isinstance(yanked, str) else ""}"' if yanked else ""
            lines.append(f'<a href="{row["url"]}{fragment}"{mark}>{row["filename"]}</a><br/>')
        return "<!DOCTYPE html><html><body>\n" + "\n".join(lines) + "</body></html>"
