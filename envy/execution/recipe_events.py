"""The events of one recipe: the only place that constructs the events of phases and scripts.

Each method emits one class of event, and does nothing when no listener wants that class.
"""

from __future__ import annotations

from pathlib import Path

from envy.errors import DeclarationError
from envy.events import (
    CacheHit,
    CacheMiss,
    DownloadProgress,
    EntryNotTaken,
    EntryStored,
    EntryTaken,
    EventBus,
    FilesProgress,
    LockAcquired,
    LockBlocked,
    LockReleased,
    LuaCtxAssetAccess,
    LuaCtxExtractComplete,
    LuaCtxExtractStart,
    LuaCtxFetchComplete,
    LuaCtxFetchStart,
    LuaCtxProductAccess,
    LuaCtxRunComplete,
    LuaCtxRunStart,
    OutputLine,
    PhaseComplete,
    PhaseFailure,
    PhaseStart,
    RecipeAborted,
    RecipeComplete,
    ScriptExecuted,
    ScriptKeptHere,
)
from envy.graph.recipe import Placement, Recipe
from envy.phase import RecipePhase

_LONGEST_COMMAND = 100  # characters of a command in its events


def phase_start(recipe: Recipe, bus: EventBus, phase: RecipePhase) -> None:
    """A phase begins. Not a method, because most phases of a large sync emit nothing else."""
    if bus.hears(PhaseStart):
        key = recipe.key
        bus.emit(PhaseStart(recipe=key.identity, key=key.canonical, phase=phase))


def phase_complete(recipe: Recipe, bus: EventBus, phase: RecipePhase, seconds: float) -> None:
    """A phase has completed, after so many seconds."""
    if bus.hears(PhaseComplete):
        key, took = recipe.key, _ms(seconds)
        bus.emit(
            PhaseComplete(recipe=key.identity, key=key.canonical, phase=phase, duration_ms=took)
        )


class RecipeEvents:
    """Emits the events of one recipe."""

    __slots__ = ("_bus", "_identity", "_key")

    def __init__(self, recipe: Recipe, bus: EventBus) -> None:
        self._bus = bus
        self._identity = recipe.key.identity
        self._key = recipe.key.canonical

    # -- phases ----------------------------------------------------------------------------------

    def phase_failed(self, phase: RecipePhase, error: Exception) -> None:
        """A phase has failed."""
        if self._bus.listening:
            self._bus.emit(
                PhaseFailure(recipe=self._identity, key=self._key, phase=phase, error=str(error))
            )

    def complete(self, outcome: str, asset_dir: Path | None) -> None:
        """The recipe is complete."""
        if self._bus.listening:
            self._bus.emit(
                RecipeComplete(
                    recipe=self._identity,
                    key=self._key,
                    outcome=outcome,
                    asset_path=str(asset_dir or ""),
                )
            )

    def aborted(self, dependency: str) -> None:
        """The recipe ends because a dependency failed."""
        if self._bus.listening:
            self._bus.emit(
                RecipeAborted(recipe=self._identity, key=self._key, dependency=dependency)
            )

    # -- the cache -------------------------------------------------------------------------------

    def cache_hit(self, placement: Placement, *, fast_path: bool) -> None:
        """The entry is in the cache; `fast_path` means that no lock was needed to find out."""
        if self._bus.listening:
            self._bus.emit(
                CacheHit(
                    recipe=self._identity,
                    cache_key=placement.entry_key,
                    asset_path=str(placement.asset_dir),
                    fast_path=fast_path,
                )
            )

    def cache_miss(self, placement: Placement, reason: str) -> None:
        """The entry is not in the cache."""
        if self._bus.listening:
            self._bus.emit(
                CacheMiss(
                    recipe=self._identity,
                    cache_key=placement.entry_key,
                    asset_path=str(placement.asset_dir),
                    reason=reason,
                )
            )

    def lock_blocked(self, path: Path, owner: str) -> None:
        """Another process holds a lock that the recipe needs."""
        self._bus.emit(
            LockBlocked(recipe=self._identity, key=self._key, lock_path=str(path), held_by=owner)
        )

    def lock_acquired(self, path: Path, seconds: float, *, waited: bool) -> None:
        """The recipe has acquired a lock; after a wait, this is reported to every listener."""
        if waited or self._bus.detailed:
            self._bus.emit(
                LockAcquired(
                    recipe=self._identity,
                    key=self._key,
                    lock_path=str(path),
                    wait_ms=_ms(seconds),
                )
            )

    def lock_released(self, path: str, seconds: float) -> None:
        """The recipe has released a lock."""
        if self._bus.detailed:
            self._bus.emit(
                LockReleased(
                    recipe=self._identity, key=self._key, lock_path=path, hold_ms=_ms(seconds)
                )
            )

    # -- ctx and scripts -------------------------------------------------------------------------

    def entry_taken(self, depot: str, size: int, seconds: float) -> None:
        if self._bus.hears(EntryTaken):
            self._bus.emit(
                EntryTaken(
                    recipe=self._identity,
                    key=self._key,
                    depot=depot,
                    bytes=size,
                    duration_ms=_ms(seconds),
                )
            )

    def entry_not_taken(self, depot: str, reason: str) -> None:
        if self._bus.hears(EntryNotTaken):
            self._bus.emit(EntryNotTaken(recipe=self._identity, depot=depot, reason=reason))

    def entry_stored(self, depot: str, size: int, seconds: float) -> None:
        if self._bus.hears(EntryStored):
            self._bus.emit(
                EntryStored(
                    recipe=self._identity,
                    key=self._key,
                    depot=depot,
                    bytes=size,
                    duration_ms=_ms(seconds),
                )
            )

    def run_start(self, command: str, cwd: Path) -> None:
        """A script or a program is started; `command` is masked, since it is cut here."""
        if self._bus.listening:
            self._bus.emit(
                LuaCtxRunStart(
                    recipe=self._identity,
                    key=self._key,
                    command=command[:_LONGEST_COMMAND],
                    cwd=str(cwd),
                )
            )

    def run_complete(self, command: str, cwd: Path, exit_code: int, seconds: float) -> None:
        """A script or a program has ended."""
        if self._bus.listening:
            self._bus.emit(
                LuaCtxRunComplete(
                    recipe=self._identity,
                    key=self._key,
                    command=command[:_LONGEST_COMMAND],
                    cwd=str(cwd),
                    exit_code=exit_code,
                    duration_ms=_ms(seconds),
                )
            )

    def script_executed(
        self, phase: RecipePhase, server: str, exit_code: int, seconds: float, *, cached: bool
    ) -> None:
        """A server has run a script."""
        if self._bus.hears(ScriptExecuted):
            self._bus.emit(
                ScriptExecuted(
                    recipe=self._identity,
                    key=self._key,
                    phase=phase,
                    server=server,
                    exit_code=exit_code,
                    cached=cached,
                    duration_ms=_ms(seconds),
                )
            )

    def script_kept_here(self, phase: RecipePhase, reason: str) -> None:
        """A phase of a recipe with `remote` runs here."""
        if self._bus.hears(ScriptKeptHere):
            self._bus.emit(
                ScriptKeptHere(recipe=self._identity, key=self._key, phase=phase, reason=reason)
            )

    def fetch_start(self, url: str, destination: str) -> None:
        """A transfer begins; `url` is masked by the bus."""
        if self._bus.listening:
            self._bus.emit(
                LuaCtxFetchStart(
                    recipe=self._identity, key=self._key, url=url, destination=destination
                )
            )

    def fetch_complete(self, url: str, path: Path, size: int, seconds: float) -> None:
        """A transfer of `size` bytes has ended."""
        if self._bus.listening:
            self._bus.emit(
                LuaCtxFetchComplete(
                    recipe=self._identity,
                    key=self._key,
                    url=url,
                    destination=str(path),
                    bytes_downloaded=size,
                    duration_ms=_ms(seconds),
                )
            )

    def download_progress(self, url: str, count: int, total: int) -> None:
        """`count` bytes of a transfer have arrived; `total` is 0 if the server sent no size."""
        if self._bus.listening:
            self._bus.emit(
                DownloadProgress(
                    recipe=self._identity, key=self._key, url=url, bytes=count, total=total
                )
            )

    def files_progress(self, action: str, files: int, total: int) -> None:
        """`files` files have been unpacked or hashed; `total` is 0 if their number is unknown."""
        if self._bus.hears(FilesProgress):
            self._bus.emit(
                FilesProgress(
                    recipe=self._identity, key=self._key, action=action, files=files, total=total
                )
            )

    def extract_start(self, archive: Path, destination: Path) -> None:
        """An archive is about to be extracted."""
        if self._bus.listening:
            self._bus.emit(
                LuaCtxExtractStart(
                    recipe=self._identity,
                    key=self._key,
                    archive_path=str(archive),
                    destination=str(destination),
                )
            )

    def extract_complete(
        self, archive: Path, destination: Path, count: int, seconds: float
    ) -> None:
        """An archive of `count` files has been extracted."""
        if self._bus.listening:
            self._bus.emit(
                LuaCtxExtractComplete(
                    recipe=self._identity,
                    key=self._key,
                    archive_path=str(archive),
                    destination=str(destination),
                    files_extracted=count,
                    duration_ms=_ms(seconds),
                )
            )

    def asset_access(
        self,
        query: str,
        provider: Recipe | None,
        phases: tuple[RecipePhase, RecipePhase],
        refusal: DeclarationError | None,
    ) -> None:
        """`ctx.asset` was called, in the first of `phases`; the second is `needed_by`."""
        if self._bus.detailed:
            self._bus.emit(
                LuaCtxAssetAccess(
                    recipe=self._identity,
                    target=query,
                    provider=provider.key.canonical if provider else "",
                    current_phase=phases[0],
                    needed_by=phases[1],
                    allowed=refusal is None,
                    reason=refusal.message if refusal else "declared",
                )
            )

    def product_access(
        self,
        name: str,
        provider: Recipe | None,
        phases: tuple[RecipePhase, RecipePhase],
        refusal: DeclarationError | None,
    ) -> None:
        """`ctx.product` was called, in the first of `phases`; the second is `needed_by`."""
        if self._bus.detailed:
            self._bus.emit(
                LuaCtxProductAccess(
                    recipe=self._identity,
                    product=name,
                    provider=provider.key.canonical if provider else "",
                    current_phase=phases[0],
                    needed_by=phases[1],
                    allowed=refusal is None,
                    reason=refusal.message if refusal else "declared",
                )
            )

    # -- output ----------------------------------------------------------------------------------

    def output_line(self, phase: RecipePhase, stream: str, text: str) -> None:
        """A child has printed a line."""
        if self._bus.listening:
            self._bus.emit(
                OutputLine(recipe=self._identity, phase=phase, stream=stream, text_=text)
            )

    def log(self, level: str, message: str) -> None:
        """The recipe, or envy about the recipe, has a message."""
        self._bus.log(level, message, recipe=self._identity)

    def standard_output(self, message: str) -> None:
        """The recipe has printed a line with `envy.stdout`."""
        self._bus.standard_output(message, recipe=self._identity)


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
