"""The server that executes actions for a command: that of `--remote`, with `--remote-exec`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from envy.cli.settings import Settings
from envy.errors import UsageError
from envy.host.platform import host_platform

if TYPE_CHECKING:
    from envy.declarations.manifest import Manifest
    from envy.events import EventBus
    from envy.sharing.remote.execution import RemoteExecution
    from envy.sharing.remote_scripts import RemoteScripts

_PLATFORM = "ENVY_REMOTE_PLATFORM"
_ISA = {"arm64": "arm-a64", "x86_64": "x86-64"}  # as the Remote Execution API has them


def check_server_of_execution(settings: Settings) -> None:
    """Check that a server is named, and may be used.

    Raises:
        UsageError: it is not, or may not.
    """
    if settings.offline:
        raise UsageError("--remote-exec needs the server, and --offline uses none")
    if not settings.remote:
        raise UsageError(
            "--remote-exec needs a server", hint="name one with --remote grpc://HOST:PORT"
        )


def remote_scripts(
    settings: Settings, manifest: Manifest, events: EventBus
) -> RemoteScripts | None:
    """Return the server that scripts of recipes run on; None without --remote-exec.

    Raises:
        UsageError: as for `check_server_of_execution` and `open_executor`; or the project wants
            signatures, and a server has none.
    """
    if not settings.remote_exec:
        return None
    check_server_of_execution(settings)
    if manifest.depots is not None and manifest.depots.keys and not settings.remote_unsigned:
        raise UsageError(
            "--remote-exec installs what a server returns, unsigned, and the project names "
            "depot_keys",
            hint="add --remote-unsigned if this server is to be believed",
        )
    from envy.sharing.remote_scripts import RemoteScripts

    return RemoteScripts(
        open_executor(settings),
        jobs=settings.remote_jobs,
        warn=lambda text: events.log("warn", text),
    )


def open_executor(settings: Settings) -> RemoteExecution:
    """Return the server of a command as one that executes actions; no call is made yet.

    Raises:
        UsageError: what it needs is not installed, or a variable cannot be read.
    """
    from envy.cli.remotes import remote_server

    server = remote_server(settings)
    from envy.sharing.remote.execution import RemoteExecution

    return RemoteExecution(server, _platform(settings.environment))


def _platform(environment: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return the properties of a worker: ENVY_REMOTE_PLATFORM, or those of this machine.

    Raises:
        UsageError: the variable cannot be read.
    """
    given = environment.get(_PLATFORM)
    if given is None:
        arch = host_platform().arch
        return [("ISA", _ISA.get(arch, arch)), ("OSFamily", host_platform().os)]
    rows = [text.partition("=") for text in given.split(",") if text.strip()]
    if not all(name.strip() and equals for name, equals, _ in rows):
        raise UsageError(
            f"{_PLATFORM} has {given!r}, which is not a list of properties",
            hint=f"write {_PLATFORM}=NAME=VALUE,NAME=VALUE, or nothing after the = for none",
        )
    return [(name.strip(), value.strip()) for name, _, value in rows]
