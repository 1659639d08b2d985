"""Transfers for a recipe: the context of its fetches, their events, and batches."""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from envy.cache.run_once import is_run_once
from envy.content.arriving import Follower
from envy.declarations.bundles import ASKER
from envy.declarations.sources import BY_ADDRESS, Scheme, SourceItem, is_full_hash, scheme_of
from envy.errors import FetchError
from envy.execution.entry_lock import lock_marks, recorded_children
from envy.execution.recipe_events import RecipeEvents
from envy.execution.services import PhaseServices, Services
from envy.graph.recipe import Recipe
from envy.host.process import run_argv
from envy.locking.subjects import locked_commit, locked_file
from envy.lua.values import LuaFunction
from envy.transport import FetchContext, Fetched, Sharing, fetch_all
from envy.transport.addresses import redacted
from envy.transport.context import Ranges

_CONNECTIONS = 4  # for one file at most
_PROGRESS_INTERVAL = 0.1  # seconds between two progress events of one download


def fetch_context(recipe: Recipe, engine: PhaseServices) -> FetchContext:
    """Return what a transport needs to fetch for this recipe."""
    services = engine.services
    events = RecipeEvents(recipe, services.events)
    reported: dict[str, float] = {}

    def progress(uri: str, count: int, total: int) -> None:
        now = time.monotonic()
        if not services.events.listening or (
            count != total and now - reported.get(uri, 0.0) < _PROGRESS_INTERVAL
        ):
            return
        reported[uri] = now
        events.download_progress(uri, count, total)

    def warn(message: str) -> None:
        events.log("warn", message)

    def run(
        argv: Sequence[str],
        *,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> tuple[int, bytes, bytes]:
        completed = run_argv(
            argv,
            cwd=cwd or services.project_dir,
            environment={
                **(services.environment if env is None else env),
                **lock_marks(recipe, services),
            },
            children=recorded_children(recipe, services),
            label=f"{recipe.key.canonical}: fetch",
            capture=True,
            timeout=timeout,
        )
        return completed.exit_code, completed.stdout, completed.stderr

    return FetchContext(
        cancelled=engine.stopped,
        pause=engine.pause,
        progress=progress,
        warn=warn,
        environment=services.environment,
        run=run,
        memo=services.memo,
        kept=services.downloads,
        shares=_sharing(recipe),
        offline=services.offline,
        online=f"run this once online: {_command_for(recipe, services)}",
        # A platform without a version is not this machine: the project is being locked for it.
        platform=None if services.platform.os_version else services.platform,
        mirrors=services.mirrors,
        ranges=Ranges(connections=min(_CONNECTIONS, services.fetch_jobs)),
        locked=functools.partial(locked_file, services.lock, recipe.key),
        stand_in=services.stand_in,
    )


def _sharing(recipe: Recipe) -> Sharing:
    """Return what may be shared with the kept downloads: what no script of the recipe changes.

    gunzip, for example, refuses a file that has a second name.
    """
    loaded = recipe.loaded_or_none
    if loaded is None or isinstance(loaded.definition.stage, str):
        return Sharing.NOTHING
    definition = loaded.definition
    if any(isinstance(verb, LuaFunction) for verb in (definition.fetch, definition.stage)):
        return Sharing.ARCHIVES
    if definition.build is None and definition.install is None and not definition.writable:
        return Sharing.EVERYTHING
    return Sharing.UNPACKED


def _command_for(recipe: Recipe, services: Services) -> str:
    """Return the command that fetches what a recipe needs."""
    project = services.project_dir
    if is_run_once(str(services.layout.root), f"{project}/"):
        return f"envy x {project.name}"
    identity = recipe.key.identity
    return "envy sync" if identity == ASKER else f"envy sync {identity}"


def fetch_batch(
    recipe: Recipe,
    engine: PhaseServices,
    items: Sequence[SourceItem],
    into: Path,
    *,
    follow: Callable[[SourceItem, Path], Follower | None] = lambda _item, _target: None,
) -> list[Fetched]:
    """Fetch a batch, in parallel while transfer slots are free; return all results, or raise.

    What the lock has of a source is fetched: that file, or that commit. `follow` returns what reads
    a file while it arrives.
    """
    items = [at_locked_commit(item, recipe, engine) for item in items]
    for item in items:
        _check_has_digest(engine, recipe, item)
    reporter = _TransferReporter(recipe, engine, into)
    with engine.transfer_helpers(len(items) - 1) as helpers:
        fetched = fetch_all(
            items,
            into,
            replace(fetch_context(recipe, engine), follow=follow),
            parallel=1 + helpers,
            on_start=reporter.started,
            on_end=reporter.ended,
        )
    for item, result in zip(items, fetched, strict=True):
        _warn_without_digest(engine, recipe, item, result)
    return fetched


def at_locked_commit(item: SourceItem, recipe: Recipe, engine: PhaseServices) -> SourceItem:
    """Return a source with the commit that the lock has for its ref, if it has one."""
    if scheme_of(item.source) is not Scheme.GIT:
        return item
    commit = locked_commit(engine.services.lock, recipe.key, item)
    return replace(item, ref=commit) if commit else item


def _check_has_digest(engine: PhaseServices, recipe: Recipe, item: SourceItem) -> None:
    """Check that a download is pinned, if the manifest says that each must be.

    Raises:
        FetchError: neither the recipe nor the lock has a digest or a commit.
    """
    services = engine.services
    scheme = scheme_of(item.source)
    if not services.require_digest or scheme in {Scheme.LOCAL, Scheme.FILE}:
        return
    if scheme is Scheme.GIT:
        is_pinned, wanted = is_full_hash(item.ref), "the full hash of a commit as its `ref`"
    else:
        is_pinned = item.has_digest
        is_pinned = is_pinned or locked_file(services.lock, recipe.key, item) is not None
        wanted = "its `sha256`"
    if not is_pinned:
        raise FetchError(
            f"{redacted(item.source)} has no digest, and the manifest says `require_digest`",
            uri=redacted(item.source),
            hint=f"give it {wanted}, or lock it with `envy lock`",
        )


class _TransferReporter:
    """Emits the events of one batch of transfers."""

    def __init__(self, recipe: Recipe, engine: PhaseServices, into: Path) -> None:
        self._listening = engine.services.events.listening
        self._events = RecipeEvents(recipe, engine.services.events)
        self._into = str(into)
        self._started: dict[int, float] = {}
        self._lock = threading.Lock()

    def started(self, item: SourceItem) -> None:
        with self._lock:
            self._started[id(item)] = time.monotonic()
        if self._listening:
            self._events.fetch_start(item.source, self._into)

    def ended(self, item: SourceItem, fetched: Fetched) -> None:
        if not self._listening:
            return
        with self._lock:
            started = self._started.pop(id(item))
        took = time.monotonic() - started
        self._events.fetch_complete(item.source, fetched.path, fetched.bytes, took)


def _warn_without_digest(
    engine: PhaseServices, recipe: Recipe, item: SourceItem, fetched: Fetched
) -> None:
    """Warn about a remote file without a digest, with the line to add."""
    if scheme_of(item.source) not in BY_ADDRESS or item.has_digest:
        return
    if locked_file(engine.services.lock, recipe.key, item) is not None:
        return
    RecipeEvents(recipe, engine.services.events).log(
        "warn",
        f'{fetched.uri} has no digest; to pin it, add sha256 = "{fetched.sha256}"',
    )
