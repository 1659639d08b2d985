"""The server of the Remote Execution API that a command uses: `--remote`, or ENVY_REMOTE.

Without one, this imports nothing of `sharing`, and no gRPC.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from envy.environment import set_for_libraries
from envy.errors import UsageError
from envy.extras import missing_extra

if TYPE_CHECKING:
    from envy.cli.settings import Settings
    from envy.sharing.remote.location import RemoteLocation
    from envy.sharing.remote.remote_cache import RemoteCache
    from envy.sharing.remote.server import Credentials, RemoteServer

NO_REMOTE = UsageError(
    "no server is named", hint="name one with --remote grpc://HOST:PORT, or in ENVY_REMOTE"
)
OFFLINE = UsageError(
    "the server is not asked, since envy works offline", hint="run it without --offline"
)
_TRUSTED = ("ENVY_REMOTE_CA", "SSL_CERT_FILE")
_MOST = 1 << 20  # bytes of a file with a certificate or a token


def remote_cache(settings: Settings) -> RemoteCache | None:
    """Return the cache of the server that a command uses; None without one, and offline.

    Raises:
        UsageError: its address is not valid, or its library is not installed.
    """
    if not settings.remote or settings.offline:
        return None
    server = remote_server(settings)
    from envy.sharing.remote.remote_cache import RemoteCache

    return RemoteCache(server, writes=not settings.remote_read_only)


def remote_server(settings: Settings) -> RemoteServer:
    """Return the server that a command uses, one for the whole process; no call is made yet.

    Raises:
        UsageError: none is named, its address is not valid, or its library is not installed.
    """
    if not settings.remote:
        raise NO_REMOTE
    from envy.sharing.remote.location import parse_location

    location = parse_location(settings.remote, what="--remote")
    set_for_libraries("GRPC_VERBOSITY", "NONE")  # it writes to standard error by itself
    try:
        import buildgrid.common.protos  # noqa: F401
        import grpc  # noqa: F401
    except ImportError as error:
        what = "grpcio and buildgrid-common"
        raise missing_extra(f"--remote {location.shown}", what, "remote") from error
    return _opened(location, _credentials(location, settings.environment))


def be_patient(settings: Settings) -> None:
    """Let the server take longer for its answers than a sync would wait.

    Raises:
        UsageError: as for `remote_server`.
    """
    server = remote_server(settings)
    from envy.sharing.remote.server import PATIENT

    server.waits.patience = PATIENT


@functools.cache
def _opened(location: RemoteLocation, credentials: Credentials) -> RemoteServer:
    from envy.sharing.remote.server import RemoteServer

    return RemoteServer(location, credentials)


def _credentials(location: RemoteLocation, environment: Mapping[str, str]) -> Credentials:
    from envy.masking import remember
    from envy.sharing.remote.server import Credentials

    token_file = environment.get("ENVY_REMOTE_TOKEN_FILE", "")
    token = ""
    if token_file:
        token = _content(token_file, "ENVY_REMOTE_TOKEN_FILE").decode("ascii", "replace").strip()
        if not token.isprintable() or not token.isascii() or not token:
            raise UsageError(f"ENVY_REMOTE_TOKEN_FILE: {token_file} has no token of one line")
        remember([token])
        if not location.is_encrypted and not location.is_this_machine:
            raise UsageError(
                f"a token would be sent to {location.shown} without encryption",
                hint=f"use grpcs://{location.address}",
            )
    pair = [environment.get(name, "") for name in ("ENVY_REMOTE_CERT", "ENVY_REMOTE_KEY")]
    if any(pair) and not all(pair):
        raise UsageError("a client certificate needs both ENVY_REMOTE_CERT and ENVY_REMOTE_KEY")
    trusted = next((name for name in _TRUSTED if environment.get(name)), "")
    if not location.is_encrypted:
        return Credentials(token=token)
    return Credentials(
        trusted=_content(environment[trusted], trusted) if trusted else b"",
        certificate=_content(pair[0], "ENVY_REMOTE_CERT") if pair[0] else b"",
        key=_content(pair[1], "ENVY_REMOTE_KEY") if pair[1] else b"",
        token=token,
    )


def _content(path: str, variable: str) -> bytes:
    from envy.content.plain_file import NotPlain, read_plain
    from envy.limits import Limit

    limit = Limit("credentials", _MOST, "a file with a certificate or a token")
    try:
        return read_plain(os.path.expanduser(path), limit)  # noqa: PTH111
    except (OSError, NotPlain) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise UsageError(f"{variable}: {path} cannot be read: {reason}") from error
