"""Submodules have addresses of the network, unless the repository itself is on this machine."""

import os

import pytest
from loopback.git_repository import GitRepository

from envy.declarations.sources import SourceItem
from envy.errors import FetchError
from envy.limits import adopt_limits
from envy.transport import fetch_source


@pytest.fixture
def inner(git_repository):
    repository = GitRepository(git_repository.path.parent, "inner")
    repository.commit({"secret": "s\n"})
    return repository


@pytest.fixture
def fetch(git_repository, recorder, tmp_path, http_server):
    """Fetches the repository with its submodules, from a web server or by path."""

    def fetch(*, remote, environment=None):
        commit = git_repository.git("rev-parse", "HEAD")
        served = git_repository.served_by(http_server) if remote else git_repository.url
        item = SourceItem(source=served, ref=commit, submodules=True, base_dir=tmp_path)
        return fetch_source(item, tmp_path / "into", recorder.context(environment)).path

    return fetch


def add(repository, inner, url, path="sub", extra=""):
    """Commit a submodule with any address: git itself would not add some of these."""
    commit = inner.git("rev-parse", "HEAD")
    modules = repository.work_tree / ".gitmodules"
    before = modules.read_text() if modules.exists() else ""
    modules.write_text(
        f'{before}[submodule "{path}"]\n\tpath = {path}\n\turl = "{url}"\n\t{extra}\n'
    )
    repository.git("add", ".gitmodules")
    repository.git("update-index", "--add", "--cacheinfo", f"160000,{commit},{path}")
    (repository.work_tree / path).mkdir(parents=True, exist_ok=True)
    repository.git("commit", "-q", "-m", "submodule")
    repository.push()


REFUSED = ["{inner.url}", "{inner.path}", "ext::git %s {inner.path}", "x::y", "-x", "fi\\nle:///x"]


@pytest.mark.parametrize("url", REFUSED)
def test_remote_repository_names_no_file(git_repository, inner, fetch, tmp_path, url):
    """A repository of the network may name neither files nor programs as submodules."""
    add(git_repository, inner, url.format(inner=inner))
    with pytest.raises(FetchError, match=r"(?s)tool\.git names .*(must begin with|not a valid)"):
        fetch(remote=True)
    assert not list((tmp_path / "into").iterdir())


@pytest.mark.parametrize("url", ["ext::git %s {inner.path}", "x::y", "-x"])
def test_no_repository_names_programs(git_repository, inner, fetch, url):
    """Even a repository on this machine may not name a program as a submodule."""
    add(git_repository, inner, url.format(inner=inner))
    with pytest.raises(FetchError, match="must begin with"):
        fetch(remote=False)


@pytest.mark.parametrize("url", ["{inner.url}", "{inner.path}", "../inner.git"])
def test_local_repository_names_files(git_repository, inner, fetch, url):
    """A repository on this machine may name files."""
    add(git_repository, inner, url.format(inner=inner))
    assert (fetch(remote=False) / "sub" / "secret").read_text() == "s\n"


@pytest.mark.parametrize("url", ["../inner.git", "./../inner.git", "{server}/inner.git"])
def test_remote_submodule(git_repository, inner, fetch, http_server, url):
    """A submodule on the same server is fetched, by a relative address or an absolute one."""
    inner.served_by(http_server)
    add(git_repository, inner, url.format(server=http_server.url))
    assert (fetch(remote=True) / "sub" / "secret").read_text() == "s\n"


def test_address_above_the_server(git_repository, inner, fetch):
    """A relative address that leads above the root of the server is refused."""
    add(git_repository, inner, "../../../../etc/x.git")
    with pytest.raises(FetchError, match="above the root of the server"):
        fetch(remote=True)


@pytest.mark.parametrize("remote", [True, False])
def test_nested_submodules(git_repository, inner, fetch, http_server, remote):
    """Submodules of submodules are fetched, and nothing of git is kept."""
    middle = GitRepository(git_repository.path.parent, "middle")
    add(middle, inner, "../inner.git", "deep/er")
    add(git_repository, middle, "../middle.git")
    for repository in (inner, middle):
        repository.served_by(http_server)
    folder = fetch(remote=remote)
    assert (folder / "sub" / "deep" / "er" / "secret").read_text() == "s\n"
    assert not list(folder.rglob(".git"))


def test_nested_submodule_names_no_file(git_repository, inner, fetch, http_server):
    """A remote submodule of a repository on this machine may not name files itself."""
    middle = GitRepository(git_repository.path.parent, "middle")
    add(middle, inner, inner.url)
    add(git_repository, middle, middle.served_by(http_server))
    with pytest.raises(FetchError, match=r"middle\.git names file:"):
        fetch(remote=False)


def test_git_itself_refuses_files(git_repository, inner, fetch, http_server, tmp_path):
    """An address of the network that settings lead to a file is refused by git, too."""
    add(git_repository, inner, "https://mirror.invalid/inner.git")
    (tmp_path / ".gitconfig").write_text(
        f'[url "{inner.path.parent.as_uri()}/"]\ninsteadOf = https://mirror.invalid/\n'
    )
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "GIT_ALLOW_PROTOCOL": "file:http:https:ext",
    }
    with pytest.raises(FetchError, match="transport 'file' not allowed"):
        fetch(remote=True, environment=environment)


def test_command_of_a_repository(git_repository, inner, fetch, tmp_path):
    """The update command that a repository names for a submodule is ignored."""
    add(git_repository, inner, "../inner.git", extra=f"update = !touch {tmp_path}/marker")
    assert (fetch(remote=False) / "sub" / "secret").exists()
    assert not (tmp_path / "marker").exists()


def test_submodule_that_is_never_updated(git_repository, inner, fetch):
    """A submodule whose repository says that it is never updated stays an empty folder."""
    add(git_repository, inner, "../inner.git", extra="update = none")
    assert not list((fetch(remote=False) / "sub").iterdir())


def test_submodule_without_address(git_repository, inner, fetch):
    """A submodule without an address is an error that names it."""
    add(git_repository, inner, "")
    with pytest.raises(FetchError, match="has the submodule sub, but"):
        fetch(remote=False)


def test_too_many_submodules(git_repository, inner, fetch, tmp_path):
    """More submodules than the limit, nested ones included, are an error that names it."""
    deepest = GitRepository(git_repository.path.parent, "deepest")
    deepest.commit({"file": "x\n"})
    add(inner, deepest, deepest.url)
    add(git_repository, inner, inner.url, "one")
    add(git_repository, inner, inner.url, "two")
    try:
        adopt_limits({"git-submodules": 3})
        with pytest.raises(FetchError, match="has more than 3 submodules, nested ones included"):
            fetch(remote=False)
        adopt_limits({"git-submodules": 4})
        assert (fetch(remote=False) / "two/sub/file").read_text() == "x\n"
    finally:
        adopt_limits({})
