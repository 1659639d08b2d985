"""Git repositories created by a test, served by path, `file:` or plain HTTP."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from .http_server import LoopbackServer

_ENVIRONMENT = {
    "GIT_AUTHOR_NAME": "A",
    "GIT_AUTHOR_EMAIL": "a@example.invalid",
    "GIT_COMMITTER_NAME": "A",
    "GIT_COMMITTER_EMAIL": "a@example.invalid",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
}


class GitRepository:
    """A bare repository `NAME.git` with a work tree beside it, in which commits are made."""

    def __init__(self, folder: Path, name: str = "tool", *, object_format: str = "sha1") -> None:
        self.work_tree = folder / f"{name}-work"
        self.path = folder / f"{name}.git"
        init = ["init", "-q", "-b", "main", f"--object-format={object_format}"]
        self.git(*init, str(self.work_tree), inside=False)
        self.git(*init, "--bare", str(self.path), inside=False)
        self.git("remote", "add", "origin", str(self.path))

    @property
    def url(self) -> str:
        return self.path.as_uri()

    def git(self, *arguments: str, inside: bool = True) -> str:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        done = subprocess.run(
            ["git", *(["-C", str(self.work_tree)] if inside else []), *arguments],
            env=kept | _ENVIRONMENT,
            check=True,
            capture_output=True,
            text=True,
        )
        return done.stdout.strip()

    def commit(self, files: Mapping[str, str], *, branch: str = "main") -> str:
        """Commit and push files; return the commit."""
        if branch != "main":
            self.git("checkout", "-q", "-B", branch)
        for name, content in files.items():
            path = self.work_tree / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        self.git("add", "-A")
        self.git("commit", "-q", "-m", "change")
        self.push()
        return self.git("rev-parse", "HEAD")

    def tag(self, name: str, *, annotated: bool = False) -> None:
        self.git("tag", *(["-a", "-m", name] if annotated else []), name)
        self.push()

    def push(self) -> None:
        self.git("push", "-q", "--all", "origin")
        self.git("push", "-q", "--tags", "origin")

    def served_by(self, server: LoopbackServer) -> str:
        """Return the URL of its plain files on a web server, which cannot serve shallow clones."""
        self.git("--git-dir", str(self.path), "update-server-info", inside=False)
        server.folder = self.path.parent
        return f"{server.url}/{self.path.name}"
