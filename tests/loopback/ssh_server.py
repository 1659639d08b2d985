"""OpenSSH's server for the user who runs the tests, and a client that knows how to reach it.

The client starts the server for each connection, so there is no port. Both are the real programs;
only their settings are those of the test.
"""

import getpass
import os
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

HOST = "forge"
_SERVER = """HostKey {folder}/host_key
AuthorizedKeysFile {folder}/authorized_keys
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin yes
PidFile none
LogLevel QUIET
"""
_CLIENT = """Host {host}
  User {user}
  ProxyCommand {server}
  IdentityFile {folder}/key
  IdentitiesOnly yes
  IdentityAgent none
  UserKnownHostsFile {folder}/known_hosts
  GlobalKnownHostsFile /dev/null
"""


class SshServer:
    """A server whose host key the client knows, and which accepts the client's key.

    `programs` is a folder with an `ssh` that uses these settings; it notes its words in `log`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.programs = folder / "programs"
        self.log = folder / "log"
        self.programs.mkdir(parents=True)
        for name in ("host_key", "key", "other_key"):
            make = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)]
            subprocess.run(make, check=True)
        (folder / "sshd_config").write_text(_SERVER.format(folder=folder))
        (folder / "ssh_config").write_text(
            _CLIENT.format(folder=folder, host=HOST, user=getpass.getuser(), server=_server(folder))
        )
        self.accept("key")
        self.know("host_key")
        client = self.programs / "ssh"
        client.write_text(
            f'#!/bin/sh\necho "$*" >>{self.log}\n'
            f'exec {shutil.which("ssh")} -F {folder}/ssh_config "$@"\n'
        )
        client.chmod(0o755)

    @property
    def variables(self) -> dict[str, str]:
        """The environment in which git reaches the server."""
        path = f"{self.programs}{os.pathsep}{os.environ['PATH']}"
        return {"PATH": path, "HOME": str(self.folder)}

    def accept(self, name: str) -> None:
        """Let the server accept this key, and no other."""
        key = (self.folder / f"{name}.pub").read_text()
        (self.folder / "authorized_keys").write_text(key)

    def know(self, *names: str) -> None:
        """Let the client know these keys as those of the server, and no others."""
        keys = [(self.folder / f"{name}.pub").read_text() for name in names]
        (self.folder / "known_hosts").write_text("".join(f"{HOST} {key}" for key in keys))

    def answers(self) -> bool:
        run = subprocess.run(
            [self.programs / "ssh", "-o", "BatchMode=yes", HOST, "git --version"],
            check=False,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=300,
        )
        self.log.unlink()
        return run.returncode == 0


def _server(folder: Path) -> str:
    found = shutil.which("sshd", path=f"{os.environ['PATH']}{os.pathsep}/usr/sbin")
    start = f"exec {found} -i -f {folder}/sshd_config"
    if os.geteuid() == 0 and not Path("/run/sshd").is_dir():
        # A server of root needs this folder: here, one that it alone sees.
        start = f"mount -t tmpfs none /run && mkdir -m 755 /run/sshd && {start}"
        return f"unshare --mount sh -c {shlex.quote(start)}"
    return start


def ssh_server(folder: Path) -> SshServer:
    """Return a server; the test is skipped if OpenSSH is missing, or lets this user not in."""
    if not shutil.which("ssh") or not shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin"):
        pytest.skip("sshd is missing")
    server = SshServer(folder)
    if not server.answers():
        pytest.skip("sshd does not let this user in")
    return server
