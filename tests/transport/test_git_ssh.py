"""Repositories that are reached by ssh: the real programs, which never ask anything."""

import os
import shutil
import socket

import pytest
from loopback.git_repository import GitRepository
from loopback.ssh_server import HOST, ssh_server

from envy.declarations.sources import SourceItem
from envy.errors import FetchError
from envy.transport import fetch_source
from envy.transport.git_ssh import ssh_command, ssh_hint

MORE = "-o BatchMode=yes -o ConnectTimeout=60 -o ServerAliveInterval=20 -o ServerAliveCountMax=3"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    return ssh_server(tmp_path_factory.mktemp("ssh") / "server")


@pytest.fixture
def ssh(server):
    """The server as it is before anything goes wrong."""
    server.accept("key")
    server.know("host_key")
    for name in (".gitconfig", "log"):
        (server.folder / name).unlink(missing_ok=True)
    return server


@pytest.fixture
def fetch(ssh, tmp_path, recorder, git_repository):
    """Fetch the repository by ssh."""

    def fetch(source="", variables=None, **fields):
        source = source or f"git+ssh://{HOST}{git_repository.path}"
        item = SourceItem(source=source, base_dir=tmp_path, **fields)
        context = recorder.context({**ssh.variables, **(variables or {})})
        return fetch_source(item, tmp_path / "into", context).path

    return fetch


@pytest.mark.parametrize("form", ["git+ssh://{0}{2}", "ssh://{1}@{0}{2}", "{1}@{0}:{2}"])
def test_by_ssh(fetch, ssh, git_repository, form):
    """Tags, submodules with relative addresses and folders come by ssh, which asks nothing."""
    import getpass

    inner = GitRepository(git_repository.path.parent, "inner")
    commit = inner.commit({"i": "1"})
    modules = '[submodule "sub"]\npath = sub/inner\nurl = ../inner.git\n'
    git_repository.commit({"a": "1", "sub/b": "2", ".gitmodules": modules})
    entry = f"160000,{commit},sub/inner"
    git_repository.git("update-index", "--add", "--cacheinfo", entry)
    git_repository.git("commit", "-q", "-m", "with a submodule")
    git_repository.tag("v1", annotated=True)
    source = form.format(HOST, getpass.getuser(), git_repository.path)
    folder = fetch(source, ref="v1", submodules=True, subdir="sub")
    assert {path.name: path.read_text() for path in folder.rglob("*") if path.is_file()} == {
        "b": "2",
        "i": "1",
    }
    assert all("-o BatchMode=yes" in line for line in ssh.log.read_text().splitlines())


def test_unknown_host_keys(fetch, ssh, git_repository):
    """A host key that is not known, or another than before, is an error that says what to do."""
    git_repository.commit({"a": "1"})
    ssh.know()
    with pytest.raises(FetchError, match="Host key verification failed") as caught:
        fetch(ref="main")
    assert f"connect once with ssh {HOST}, and compare its fingerprint" in caught.value.hint
    ssh.know("other_key")
    with pytest.raises(FetchError) as caught:
        fetch(ref="main")
    assert "shows another host key than before" in caught.value.hint
    ssh.know("host_key")
    assert (fetch(ref="main") / "a").read_text() == "1"


def test_refusals(fetch, ssh, git_repository, tmp_path):
    """A key that is refused, and a repository that is not there, are errors with what to check."""
    git_repository.commit({"a": "1"})
    with pytest.raises(FetchError, match="does not appear to be a git repository") as caught:
        fetch(f"git+ssh://{HOST}{tmp_path}/gone.git", ref="main")
    assert "spelling of the address" in caught.value.hint
    ssh.accept("other_key")
    with pytest.raises(FetchError, match="Permission denied") as caught:
        fetch(ref="main")
    assert "ssh-add -l" in caught.value.hint
    assert not (tmp_path / "into" / "tool").exists()


@pytest.mark.parametrize("where", ["settings", "variable"])
def test_the_command_of_the_user(fetch, ssh, git_repository, where):
    """`core.sshCommand` and GIT_SSH_COMMAND say how ssh is run, and it asks nothing either way."""
    git_repository.commit({"a": "1"})
    ssh.accept("other_key")
    command = f"ssh -i {ssh.folder / 'other_key'}"
    variables = {}
    if where == "settings":
        (ssh.folder / ".gitconfig").write_text(f'[core]\nsshCommand = "{command}"\n')
    else:
        variables = {"GIT_SSH_COMMAND": command}
    assert (fetch(variables=variables, ref="main") / "a").read_text() == "1"
    first = ssh.log.read_text().splitlines()[0]
    assert "other_key" in first
    assert "-o BatchMode=yes" in first


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, f"ssh {MORE}"),
        ({"GIT_SSH": "plink"}, ""),
        ({"GIT_SSH_COMMAND": "plink -batch"}, "plink -batch"),
        ({"GIT_SSH_COMMAND": "'/my bin/ssh' -v"}, f"'/my bin/ssh' -v {MORE}"),
        ({"GIT_SSH_COMMAND": "'unclosed"}, "'unclosed"),
        ({"GIT_SSH": "plink", "GIT_SSH_COMMAND": "ssh"}, f"ssh {MORE}"),
    ],
)
def test_commands(recorder, tmp_path, environment, expected):
    """Options are added to what is OpenSSH's; anything else is left as it is."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), **environment}
    assert ssh_command(environment, recorder.context(environment)) == expected


@pytest.mark.parametrize(
    ("text", "address", "part"),
    [
        ("Host key verification failed.", "ssh://git@h.test:2222/a.git", "ssh -p 2222 git@h.test,"),
        ("Host key verification failed.", "me@h.test:a/b.git", "ssh me@h.test,"),
        ("Host key verification failed.", "ssh://[::1]:22/a.git", "ssh -p 22 ::1,"),
        ("Host key verification failed.", "https://h.test/a.git", "ssh HOST,"),
        ("ssh: Could not resolve hostname x: Name or service not known", "", "check the name"),
        ("ssh: connect to host x port 22: Connection refused", "", "firewall"),
        ("error: cannot run ssh: No such file or directory", "", "install OpenSSH's client"),
        ("fatal: anything else", "", ""),
    ],
)
def test_hints(text, address, part):
    """What ssh says decides the hint."""
    assert part in ssh_hint(text, address)


@pytest.mark.skipif(shutil.which("ssh") is None, reason="needs the program ssh")
def test_a_silent_server(tmp_path, recorder):
    """A server that takes the connection and sends nothing is given up after the idle timeout."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        source = f"ssh://127.0.0.1:{listening.getsockname()[1]}/x.git"
        item = SourceItem(source=source, base_dir=tmp_path, ref="v1")
        variables = {"PATH": os.environ["PATH"], "ENVY_IDLE_TIMEOUT": "1", "HOME": str(tmp_path)}
        with pytest.raises(FetchError, match="banner exchange") as caught:
            fetch_source(item, tmp_path / "into", recorder.context(variables))
    assert "ENVY_IDLE_TIMEOUT sets another one" in caught.value.hint
