"""The git program, run so that the user's settings change neither a commit's tree nor run code.

Owns the environment and the settings of every git command. What decides how a repository is
reached stays the user's: credential helpers, `insteadOf`, proxies, certificates and ssh.
"""

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from envy.errors import FetchError, ScriptFailed
from envy.masking import masked, remember_address
from envy.transport.addresses import redacted
from envy.transport.context import FetchContext, NoAnswer
from envy.transport.git_ssh import ssh_command, ssh_hint
from envy.transport.idle import VARIABLE, idle_seconds

# git sets some of these for its hooks: with them, a command would use the repository of the hook.
# The others change what is checked out, or what the commands here mean.
_NOT_INHERITED = frozenset({
    "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_ATTR_SOURCE", "GIT_COMMON_DIR", "GIT_CONFIG",
    "GIT_DEFAULT_REF_FORMAT", "GIT_DIR", "GIT_GLOB_PATHSPECS", "GIT_GRAFT_FILE",
    "GIT_ICASE_PATHSPECS", "GIT_IMPLICIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_INDEX_VERSION",
    "GIT_INTERNAL_SUPER_PREFIX", "GIT_LFS_SKIP_SMUDGE", "GIT_LITERAL_PATHSPECS", "GIT_NAMESPACE",
    "GIT_NOGLOB_PATHSPECS", "GIT_OBJECT_DIRECTORY", "GIT_PREFIX", "GIT_QUARANTINE_PATH",
    "GIT_REPLACE_REF_BASE", "GIT_SHALLOW_FILE", "GIT_TEMPLATE_DIR", "GIT_WORK_TREE",
})  # fmt: skip
_SETTINGS = {
    # Programs.
    "core.fsmonitor": "false",
    "core.hooksPath": os.devnull,
    "init.templateDir": "",
    "protocol.ext.allow": "never",
    # The content of files. Filters are switched off in the attributes of the checkout.
    "core.attributesFile": os.devnull,
    "core.autocrlf": "false",
    "core.eol": "lf",
    "core.sparseCheckout": "false",
    "core.symlinks": "true",
    # Work that is not needed here.
    "advice.detachedHead": "false",
    "fetch.recurseSubmodules": "false",
    "gc.auto": "0",
    "init.defaultBranch": "main",
    "maintenance.auto": "false",
    "submodule.recurse": "false",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkout:
    """A commit that is checked out in the folder `path`.

    `ref` is the name by which the commit was requested, if any, and `by` the address of the
    repository that names this one as a submodule; "" for a source of a recipe.
    """

    address: str
    commit: str
    path: Path
    ref: str = ""
    by: str = ""


def git(
    arguments: list[str],
    address: str,
    context: FetchContext,
    *,
    cwd: Path | None = None,
    settings: Mapping[str, str] | None = None,
    environment: Mapping[str, str] | None = None,
) -> bytes:
    """Run git, and return what it wrote; `address` is the repository that errors name.

    Raises:
        NoAnswer: git failed. FetchError: it could not be run.
    """
    remember_address(address)
    code, output, errors = run_git(
        arguments, context, cwd=cwd, settings=settings, environment=environment
    )
    if code == 0:
        return output
    text = errors.decode(errors="replace").strip().replace(address, redacted(address))
    verb = next(word for word in arguments if not word.startswith("-"))
    # git does not tell a server that cannot be reached from a repository that is not there.
    raise NoAnswer(
        f"git {verb} failed for {redacted(address)}:\n"
        + "\n".join(f"  | {masked(line)}" for line in text.splitlines()),
        uri=redacted(address),
        hint=_hint_of(text, address),
    )


def run_git(
    arguments: list[str],
    context: FetchContext,
    *,
    cwd: Path | None = None,
    settings: Mapping[str, str] | None = None,
    environment: Mapping[str, str] | None = None,
) -> tuple[int, bytes, bytes]:
    """Run git, and return (exit code, stdout, stderr).

    `settings` and `environment` are added to those that every command gets.

    Raises:
        FetchError: git could not be run.
    """
    context.check_cancelled()
    options = [
        word
        for name, value in (_SETTINGS | _patience(context) | dict(settings or {})).items()
        for word in ("-c", f"{name}={value}")
    ]
    try:
        return context.run(
            ["git", *options, *arguments],
            cwd=cwd,
            env=_environment(context) | dict(environment or {}) | _reach(context),
        )
    except ScriptFailed as error:
        raise FetchError(
            f"the program git could not be run: {error.message}",
            uri="git",
            hint="git sources need git; install git and try again",
        ) from error


def _patience(context: FetchContext) -> dict[str, str]:
    """Return the settings with which git gives up an HTTP server that sends nothing any more."""
    # A server that is still counting sends five bytes now and then: with 1, that is enough.
    seconds = math.ceil(idle_seconds(context.environment))
    return {"http.lowSpeedLimit": "1", "http.lowSpeedTime": str(seconds)}


def check_repository(address: str, context: FetchContext) -> None:
    """Check that a repository may be asked: one that is not on this machine only while online.

    Raises:
        Offline: envy works offline, and the repository is elsewhere.
    """
    if not address.startswith(("/", "file:")):
        remember_address(address)
        context.check_online(redacted(address))


def _reach(context: FetchContext) -> dict[str, str]:
    """Return variables that keep git on this machine, whatever its `insteadOf` says."""
    return {"GIT_ALLOW_PROTOCOL": "file"} if context.offline else {}


def _environment(context: FetchContext) -> dict[str, str]:
    environment = context.environment
    kept = {name: value for name, value in environment.items() if name not in _NOT_INHERITED}
    # Without these, git and ssh would wait for a password to be typed.
    kept["GIT_TERMINAL_PROMPT"] = "0"
    kept.setdefault("GIT_ASKPASS", "")
    if command := ssh_command(kept, context):
        kept["GIT_SSH_COMMAND"] = command
    kept["LC_ALL"] = "C"
    kept["GIT_ATTR_NOSYSTEM"] = "1"
    kept["GIT_NO_REPLACE_OBJECTS"] = "1"
    if "GIT_ALLOW_PROTOCOL" in kept:  # git would prefer it to its settings
        kept["GIT_ALLOW_PROTOCOL"] = without_protocols(kept["GIT_ALLOW_PROTOCOL"], "ext")
    return kept


def without_protocols(allowed: str, *refused: str) -> str:
    """Return the value of GIT_ALLOW_PROTOCOL without some protocols."""
    return ":".join(name for name in allowed.split(":") if name not in refused)


def _hint_of(text: str, address: str) -> str:
    if "Authentication failed" in text or "terminal prompts disabled" in text:
        return "the repository requires credentials; configure a credential helper, or use ssh"
    if "Operation too slow" in text:
        return f"the server sent nothing within the idle timeout; {VARIABLE} sets another one"
    if hint := ssh_hint(text, address):
        return hint
    missing = ("not found", "does not exist", "does not appear to be a git repository")
    if any(part in text.lower() for part in missing):
        return "check the spelling of the address, and whether you may read the repository"
    return ""
