"""How git runs ssh: with the user's program and settings, and without a question that would hang.

Owns the command, and what the messages of ssh mean.
"""

import math
import os
import re
import shlex
from collections.abc import Mapping

from envy.errors import ScriptFailed
from envy.transport.context import FetchContext
from envy.transport.idle import VARIABLE, idle_seconds

_ALIVE = 3  # questions whether the server is still there, within the idle timeout
_PLACE = re.compile(
    r"(?:[a-z+]*ssh[a-z+]*://)?(?P<user>[\w.-]+@)?"
    r"(?:\[(?P<name>[\w.:-]+)\]|(?P<host>[\w.-]+))(?::(?P<port>\d+)(?=/|$))?(?:/|:(?!//))",
    re.ASCII,
)
_SILENT = f"the server sent nothing within the idle timeout; {VARIABLE} sets another one"
# Parts of messages, the more special ones first.
_HINTS = {
    "timed out during banner exchange": _SILENT,
    "not responding": _SILENT,
    "REMOTE HOST IDENTIFICATION HAS CHANGED": "the server shows another host key than before: ask "
    "its operators whether they changed it; then remove the old one with ssh-keygen -R, and "
    "connect once with ssh HOST",
    "Host key verification failed": "the host key of the server is not known yet: connect once "
    "with ssh HOST, and compare its fingerprint with the one that the operators publish",
    "Permission denied": "ssh was refused; check that your key is known to the server, and, if it "
    "has a passphrase, loaded: ssh-add -l",
    "Could not resolve hostname": "check the name of the server, and the network",
    "cannot run ssh": "the program ssh is missing; install OpenSSH's client and try again",
    "ssh: not found": "the program ssh is missing; install OpenSSH's client and try again",
    "connect to host": "check the name and port of the server; a firewall may be in between",
}


def ssh_command(environment: Mapping[str, str], context: FetchContext) -> str:
    """Return the value of GIT_SSH_COMMAND: the user's command, with more options if it is ssh.

    It asks nothing, and gives up a server that is silent.
    "" leaves it to git: the user has named a program in GIT_SSH, which gets no options.
    """
    command = environment.get("GIT_SSH_COMMAND", "")
    command = command or context.memo.once(("git ssh",), lambda: _of_settings(environment, context))
    if not command and environment.get("GIT_SSH"):
        return ""
    command = command or "ssh"
    if not _is_ssh(command):
        return command
    # What the user's command says itself comes first, and counts.
    seconds = math.ceil(idle_seconds(context.environment))
    options = {
        "BatchMode": "yes",
        "ConnectTimeout": seconds,
        "ServerAliveInterval": math.ceil(seconds / _ALIVE),
        "ServerAliveCountMax": _ALIVE,
    }
    return " ".join([command, *(f"-o {name}={value}" for name, value in options.items())])


def _of_settings(environment: Mapping[str, str], context: FetchContext) -> str:
    """Return `core.sshCommand` of the user and the system: GIT_SSH_COMMAND would take its place."""
    outside = {"GIT_DIR": os.devnull}  # of no repository
    try:
        code, output, _ = context.run(
            ["git", "config", "--get", "core.sshCommand"], env={**environment, **outside}
        )
    except ScriptFailed:
        return ""  # git is missing, as the next command says
    return output.decode(errors="surrogateescape").strip() if code == 0 else ""


def _is_ssh(command: str) -> bool:
    """Return whether a command line is one of OpenSSH, so that its options are known."""
    try:
        words = shlex.split(command)
    except ValueError:
        return False
    name = os.path.basename(words[0]) if words else ""  # noqa: PTH119
    return name.removesuffix(".exe") == "ssh"


def ssh_hint(text: str, address: str) -> str:
    """Return what to do about a message of ssh; "" if it is none that is known."""
    return next((hint for part, hint in _HINTS.items() if part in text), "").replace(
        "ssh HOST", f"ssh {_place_of(address)}"
    )


def _place_of(address: str) -> str:
    """Return how a command line names the server of an address."""
    found = _PLACE.match(address)
    if found is None:
        return "HOST"
    port = f"-p {found['port']} " if found["port"] else ""
    return f"{port}{found['user'] or ''}{found['host'] or found['name']}"
