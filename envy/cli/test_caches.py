"""The results of tests that a command uses: those of this machine, and those of a server."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from envy.cli.remote_executor import check_server_of_execution, open_executor
from envy.cli.settings import Settings
from envy.console.text import say
from envy.events import EventBus
from envy.limits import TEST_RESULT
from envy.testing.records import settle_time
from envy.testing.remote.tests import RemoteTests
from envy.testing.result_cache import ResultCache
from envy.testing.shared.places import places_of
from envy.testing.shared.results import SharedResults

if TYPE_CHECKING:
    from envy.testing.shared.results import ResultShelf


def result_cache(root: str, settings: Settings, *, reads: bool, writes: bool) -> ResultCache:
    """Return the results below the cache's folder of tests."""
    return ResultCache(
        root,
        settle=settle_time(settings.environment),
        warn=_warn,
        reads=reads,
        writes=writes,
    )


def shared_results(
    settings: Settings, directory: Path, cache: Path, events: EventBus
) -> SharedResults | None:
    """Return the results of the server that a command uses; None without one, and offline.

    Nothing is loaded, and no connection is made, before a result is asked for.

    Raises:
        UsageError: its address is not valid.
    """
    if not settings.remote or settings.offline:
        return None
    from envy.sharing.remote.location import parse_location

    parse_location(settings.remote, what="--remote")
    places = places_of(str(directory), str(cache), settings.environment)
    return SharedResults(lambda: _open(settings), places, events)


def remote_tests(
    settings: Settings,
    directory: Path,
    cache: Path,
    events: EventBus,
    *,
    jobs: int,
    reads: bool,
    quiet: bool,
) -> RemoteTests | None:
    """Return the server that tests run on; None without `jobs`.

    `reads` allows a former success as the answer.

    `quiet` does not tell which tests run here.

    Raises:
        UsageError: none is named, or it may not be used.
    """
    if not jobs:
        return None
    check_server_of_execution(settings)
    return RemoteTests(
        lambda: open_executor(settings),
        places_of(str(directory), str(cache), settings.environment),
        events,
        jobs=jobs,
        here=settings.jobs or 1,
        reads=reads,
        warn=_warn,
        say=(lambda _text: None) if quiet else (lambda text: say(sys.stderr, text)),
    )


def _open(settings: Settings) -> ResultShelf:
    from envy.cli.remotes import remote_server

    server = remote_server(settings)
    from envy.sharing.remote.result_store import ResultStore

    writes = not settings.remote_read_only
    return ResultStore(server, writes=writes, warn=_warn, largest=TEST_RESULT.value)


def _warn(text: str) -> None:
    say(sys.stderr, f"warning: {text}")
