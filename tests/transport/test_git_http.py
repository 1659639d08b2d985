"""Repositories over HTTP, served by git's own program as the usual hosts do."""

import hashlib
import os
import random

import pytest
from loopback.git_http import GitHttpServer
from loopback.git_repository import GitRepository
from loopback.http_server import Reply

from envy.declarations.sources import SourceItem
from envy.errors import FetchError
from envy.transport import fetch_source
from envy.transport.idle import VARIABLE

BIG = random.Random(5).randbytes(200_000).hex()


@pytest.fixture
def server(git_repository):
    with GitHttpServer(git_repository.path.parent) as server:
        yield server


@pytest.fixture
def fetch(server, recorder, tmp_path):
    def fetch(variables=None, source="", **fields):
        source = source or f"{server.url}/tool.git"
        item = SourceItem(source=source, ref="main", base_dir=tmp_path, **fields)
        environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), **(variables or {})}
        return fetch_source(item, tmp_path / "into", recorder.context(environment)).path

    return fetch


def test_a_folder(git_repository, server, fetch):
    """Of a repository with `subdir`, only that folder is transferred, where the host allows it."""
    git_repository.commit({"a/b": "1", "big": BIG})
    for allowed in ("true", "false"):
        server.sent = 0
        path = str(git_repository.path)
        git_repository.git(
            "--git-dir", path, "config", "uploadpack.allowFilter", allowed, inside=False
        )
        assert [(path.name, path.read_text()) for path in fetch(subdir="a").iterdir()] == [
            ("b", "1")
        ]
        assert (server.sent < 20_000) == (allowed == "true")


def test_credentials(git_repository, server, fetch, tmp_path):
    """Those of .netrc and of a helper are used; without any, nothing is asked."""
    inner = GitRepository(git_repository.path.parent, "inner")
    commit = inner.commit({"i": "1"})
    modules = '[submodule "inner"]\npath = inner\nurl = ../inner.git\n'
    git_repository.commit({"a/b": "1", ".gitmodules": modules})
    git_repository.git("update-index", "--add", "--cacheinfo", f"160000,{commit},inner")
    git_repository.git("commit", "-q", "-m", "with a submodule")
    git_repository.push()
    server.user = "me:hunter22"
    with pytest.raises(FetchError) as caught:
        fetch()
    assert "the repository requires credentials" in caught.value.hint
    with pytest.raises(FetchError) as caught:
        fetch(source=f"http://me:wrong-one@{server.host}/tool.git")
    assert "Authentication failed" in str(caught.value)
    assert "wrong-one" not in str(caught.value)
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me password hunter22\n")
    folder = fetch(submodules=True)
    assert (folder / "inner/i").read_text() == "1"
    assert (fetch(subdir="a") / "b").read_text() == "1"
    (tmp_path / ".netrc").unlink()
    helper = "!f() { echo username=me; echo password=$SECRET; }; f"
    (tmp_path / ".gitconfig").write_text(f'[credential]\nhelper = "{helper}"\n')
    assert (fetch({"SECRET": "hunter22"}, subdir="a") / "b").read_text() == "1"


@pytest.mark.needs("git-lfs")
def test_stored_files(git_repository, server, fetch):
    """Content in Git LFS comes by the API of its host, and is compared with the pointer."""
    content = b"content " * 500
    digest = hashlib.sha256(content).hexdigest()
    pointer = (
        f"version https://git-lfs.github.com/spec/v1\noid sha256:{digest}\nsize {len(content)}\n"
    )
    git_repository.commit({".gitattributes": "*.bin filter=lfs -text\n", "a.bin": pointer})
    server.stored[digest] = content
    server.user = "me:hunter22"
    source = f"http://me:hunter22@{server.host}/tool.git"
    assert (fetch(source=source, lfs=True) / "a.bin").read_bytes() == content
    server.stored[digest] = content[:-1] + b"!"
    with pytest.raises(FetchError) as caught:
        fetch(source=source, lfs=True)
    assert "hunter22" not in str(caught.value)


def test_a_server_that_sends_nothing_any_more(http_server, fetch):
    """It is given up after the idle timeout, as for other downloads."""
    kind = {"Content-Type": "application/x-git-upload-pack-advertisement"}
    route = "/tool.git/info/refs"
    http_server.routes[route] = Reply(b"x" * 100, headers=kind, stalls_after=10)
    with pytest.raises(FetchError, match="Operation too slow") as caught:
        fetch({VARIABLE: "0.5"}, source=f"{http_server.url}/tool.git")
    assert VARIABLE in caught.value.hint
