"""RecipeEvents: each method emits one class of event, with the recipe's names."""

import inspect
from pathlib import Path

import pytest

from envy import events
from envy.cache.layout import CacheLayout
from envy.declarations.sources import SourceItem
from envy.declarations.spec import RecipeSpec
from envy.errors import SourceLocation
from envy.events import EventBus
from envy.execution.recipe_events import RecipeEvents, phase_complete, phase_start
from envy.graph.recipe import Placement, Recipe
from envy.phase import RecipePhase

HERE = Path("/here")
BOTH = (RecipePhase.BUILD, RecipePhase.CHECK)
ENTRY = CacheLayout(Path("/cache")).entry("local.a@r1", "linux-x86_64", "0" * 64)
PLACEMENT = Placement(entry_key="0" * 64, entry=ENTRY, asset_dir=ENTRY.asset_dir)


def recipe_of(identity):
    spec = RecipeSpec(
        identity=identity,
        source=SourceItem(source="a.lua", base_dir=HERE),
        origin=SourceLocation(Path("envy.lua"), 1),
    )
    return Recipe(key=spec.key, spec=spec)


OTHER = recipe_of("local.b@r1")
CALLS = {
    "phase_failed": (
        events.PhaseFailure,
        lambda on: on.phase_failed(RecipePhase.BUILD, ValueError("x")),
    ),
    "complete": (events.RecipeComplete, lambda on: on.complete("cached", HERE)),
    "aborted": (events.RecipeAborted, lambda on: on.aborted("local.b@r1")),
    "cache_hit": (events.CacheHit, lambda on: on.cache_hit(PLACEMENT, fast_path=True)),
    "cache_miss": (events.CacheMiss, lambda on: on.cache_miss(PLACEMENT, "no marker")),
    "entry_taken": (events.EntryTaken, lambda on: on.entry_taken("file:///d", 5, 1.0)),
    "entry_not_taken": (events.EntryNotTaken, lambda on: on.entry_not_taken("file:///d", "x")),
    "entry_stored": (events.EntryStored, lambda on: on.entry_stored("file:///d", 5, 1.0)),
    "lock_blocked": (events.LockBlocked, lambda on: on.lock_blocked(HERE, "process 1")),
    "lock_acquired": (events.LockAcquired, lambda on: on.lock_acquired(HERE, 1.0, waited=False)),
    "lock_released": (events.LockReleased, lambda on: on.lock_released("/here", 1.0)),
    "run_start": (events.LuaCtxRunStart, lambda on: on.run_start("make", HERE)),
    "run_complete": (events.LuaCtxRunComplete, lambda on: on.run_complete("make", HERE, 0, 1.0)),
    "script_executed": (
        events.ScriptExecuted,
        lambda on: on.script_executed(RecipePhase.BUILD, "grpc://x", 0, 1.0, cached=False),
    ),
    "script_kept_here": (
        events.ScriptKeptHere,
        lambda on: on.script_kept_here(RecipePhase.BUILD, "x"),
    ),
    "fetch_start": (events.LuaCtxFetchStart, lambda on: on.fetch_start("https://x/y", "/here")),
    "fetch_complete": (
        events.LuaCtxFetchComplete,
        lambda on: on.fetch_complete("https://x/y", HERE, 1, 1.0),
    ),
    "download_progress": (
        events.DownloadProgress,
        lambda on: on.download_progress("https://x/y", 1, 2),
    ),
    "extract_start": (events.LuaCtxExtractStart, lambda on: on.extract_start(HERE, HERE)),
    "extract_complete": (
        events.LuaCtxExtractComplete,
        lambda on: on.extract_complete(HERE, HERE, 1, 1.0),
    ),
    "files_progress": (events.FilesProgress, lambda on: on.files_progress("hashing", 1, 2)),
    "asset_access": (events.LuaCtxAssetAccess, lambda on: on.asset_access("b", OTHER, BOTH, None)),
    "product_access": (
        events.LuaCtxProductAccess,
        lambda on: on.product_access("b", OTHER, BOTH, None),
    ),
    "output_line": (events.OutputLine, lambda on: on.output_line(RecipePhase.BUILD, "stdout", "x")),
    "log": (events.LogMessage, lambda on: on.log("info", "x")),
    "standard_output": (events.StandardOutput, lambda on: on.standard_output("x")),
}
DETAILS = {"lock_acquired", "lock_released", "asset_access", "product_access"}


class Recorder:
    """A listener that keeps the events it receives."""

    def __init__(self, *, detailed=True):
        self.detailed = detailed
        self.received = []

    def on_event(self, stamped):
        self.received.append(stamped.event)

    def close(self):
        """Keep what was received."""


def received_by(recorder, method, *, closed=False):
    bus = EventBus([recorder])
    if closed:
        bus.close()
    CALLS[method][1](RecipeEvents(recipe_of("local.a@r1"), bus))
    return recorder.received


def test_every_method_is_covered():
    """A new method of RecipeEvents needs a row in the table of this file."""
    methods = inspect.getmembers(RecipeEvents, inspect.isfunction)
    assert {name for name, _ in methods if not name.startswith("_")} == CALLS.keys()


@pytest.mark.parametrize("method", CALLS)
def test_a_method_emits_exactly_its_class(method):
    """One call is one event, of the recipe that the RecipeEvents was created for."""
    [event] = received_by(Recorder(), method)
    assert type(event) is CALLS[method][0]
    assert event.recipe == "local.a@r1"


@pytest.mark.parametrize("method", CALLS)
def test_nothing_is_emitted_without_a_listener(method):
    """On a bus that no longer has listeners, a call has no effect."""
    assert received_by(Recorder(), method, closed=True) == []


@pytest.mark.parametrize("method", CALLS)
def test_details_are_emitted_only_for_listeners_that_want_them(method):
    """A listener that is not `detailed` receives no event of locks and of uses of dependencies."""
    received = received_by(Recorder(detailed=False), method)
    assert bool(received) == (method not in DETAILS)


def test_a_lock_that_was_waited_for_is_no_detail():
    """Every listener receives the end of a wait whose start it has received."""
    recorder = Recorder(detailed=False)
    on = RecipeEvents(recipe_of("local.a@r1"), EventBus([recorder]))
    on.lock_acquired(HERE, 1.0, waited=True)
    assert [event.wait_ms for event in recorder.received] == [1000]


def test_the_phases_of_a_recipe_are_events_without_an_object():
    """The two functions emit the start and the end of a phase, and nothing on a closed bus."""
    recorder, recipe = Recorder(), recipe_of("local.a@r1")
    bus = EventBus([recorder])
    phase_start(recipe, bus, RecipePhase.BUILD)
    phase_complete(recipe, bus, RecipePhase.BUILD, 1.5)
    bus.close()
    phase_start(recipe, bus, RecipePhase.INSTALL)
    started, completed = recorder.received
    assert (type(started), started.phase) == (events.PhaseStart, RecipePhase.BUILD)
    assert (type(completed), completed.duration_ms) == (events.PhaseComplete, 1500)
