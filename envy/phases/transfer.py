"""Transfers on behalf of a recipe: the context of its fetches, their events, and batches."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from envy import events as ev
from envy.phases.secrets import masked_text, secrets_of
from envy.phases.surface import Engine
from envy.phases.work import marks, noted_children
from envy.process import run_argv
from envy.recipe import Recipe
from envy.sources import Scheme, SourceItem, scheme_of
from envy.transport import FetchContext, Fetched, fetch_all

_PROGRESS_INTERVAL = 0.1  # seconds between two progress events of one download


def fetch_context(recipe: Recipe, engine: Engine) -> FetchContext:
    """What a transport gets to work with for this recipe."""
    services = engine.services
    identity = recipe.key.identity
    secrets = secrets_of(recipe, services)
    told: dict[str, float] = {}

    def progress(uri: str, count: int, total: int) -> None:
        now = time.monotonic()
        if not services.events.listening or (
            count != total and now - told.get(uri, 0.0) < _PROGRESS_INTERVAL
        ):
            return
        told[uri] = now
        services.events.emit(
            ev.DownloadProgress(
                recipe=identity, url=masked_text(uri, secrets), bytes=count, total=total
            )
        )

    def warn(message: str) -> None:
        message = masked_text(message, secrets)
        services.events.emit(ev.LogMessage(recipe=identity, level="warn", message=message))

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
            environment={**(services.environment if env is None else env), **marks(recipe)},
            children=noted_children(recipe, services),
            label=f"{recipe.key.canonical}: fetch",
            capture=True,
            timeout=timeout,
        )
        return completed.exit_code, completed.stdout, completed.stderr

    return FetchContext(
        cancelled=engine.stopped,
        progress=progress,
        warn=warn,
        environment=services.environment,
        run=run,
        memo=services.memo,
    )


def fetch_batch(
    recipe: Recipe, engine: Engine, items: Sequence[SourceItem], into: Path
) -> list[Fetched]:
    """Bring a batch here, in parallel as far as transfer slots are free; all of it or an error."""
    teller = _Teller(recipe, engine, into)
    with engine.transfer_helpers(len(items) - 1) as helpers:
        fetched = fetch_all(
            items,
            into,
            fetch_context(recipe, engine),
            parallel=1 + helpers,
            on_start=teller.started,
            on_end=teller.ended,
        )
    for item, result in zip(items, fetched, strict=True):
        _warn_without_digest(engine, recipe, item, result)
    return fetched


class _Teller:
    """Tells of the transfers of one batch."""

    def __init__(self, recipe: Recipe, engine: Engine, into: Path) -> None:
        self._identity = recipe.key.identity
        self._key = recipe.key.canonical
        self._events = engine.services.events
        self._into = str(into)
        self._secrets = secrets_of(recipe, engine.services)
        self._started: dict[int, float] = {}
        self._lock = threading.Lock()

    def started(self, item: SourceItem) -> None:
        with self._lock:
            self._started[id(item)] = time.monotonic()
        if self._events.listening:
            self._events.emit(
                ev.LuaCtxFetchStart(
                    recipe=self._identity,
                    key=self._key,
                    url=self._shown(item),
                    destination=self._into,
                )
            )

    def ended(self, item: SourceItem, fetched: Fetched) -> None:
        if not self._events.listening:
            return
        with self._lock:
            started = self._started.pop(id(item))
        self._events.emit(
            ev.LuaCtxFetchComplete(
                recipe=self._identity,
                key=self._key,
                url=self._shown(item),
                destination=str(fetched.path),
                bytes_downloaded=fetched.bytes,
                duration_ms=round((time.monotonic() - started) * 1000),
            )
        )

    def _shown(self, item: SourceItem) -> str:
        """The source without credentials: it goes into events, logs and onto the screen."""
        from envy.transport.connection import redacted

        source = redacted(item.source) if "@" in item.source else item.source
        return masked_text(source, self._secrets)


def _warn_without_digest(
    engine: Engine, recipe: Recipe, item: SourceItem, fetched: Fetched
) -> None:
    """A remote file that nothing vouches for: say so, with the line to paste."""
    if scheme_of(item.source) is not Scheme.HTTP or item.sha256 or item.blake3:
        return
    uri = masked_text(fetched.uri, secrets_of(recipe, engine.services))
    engine.services.events.emit(
        ev.LogMessage(
            recipe=recipe.key.identity,
            level="warn",
            message=f"{uri} has no digest in the recipe; to pin it, add "
            f'sha256 = "{fetched.sha256}"',
        )
    )
