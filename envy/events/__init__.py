"""Typed events: everything that the engine reports. This package exports all of them, and the bus.

Each class is one row of the contract: its name in snake case is the name of the event, its fields
are the fields of the JSON, and `text` is the line for people. JSON, text and the printed schema are
all derived from these classes, so they always agree.
"""

from envy.events.base import Event, fields_of
from envy.events.bus import EventBus, Listener, Stamped
from envy.events.cache import CacheHit, CacheMiss, LockAcquired, LockBlocked, LockReleased
from envy.events.graph import DependencyAdded, RecipeRegistered, ReferenceResolved
from envy.events.output import LogMessage, OutputLine, StandardOutput
from envy.events.phases import (
    PackagesWanted,
    PhaseComplete,
    PhaseFailure,
    PhaseSilent,
    PhaseStart,
    RecipeAborted,
    RecipeComplete,
)
from envy.events.scheduling import (
    PhaseBlocked,
    PhaseUnblocked,
    SlotAcquired,
    SlotRefused,
    SlotReleased,
    TargetExtended,
    ThreadComplete,
    ThreadStart,
)
from envy.events.scripts import (
    DownloadProgress,
    FilesProgress,
    LuaCtxAssetAccess,
    LuaCtxExtractComplete,
    LuaCtxExtractStart,
    LuaCtxFetchComplete,
    LuaCtxFetchStart,
    LuaCtxProductAccess,
    LuaCtxRunComplete,
    LuaCtxRunStart,
    ScriptExecuted,
    ScriptKeptHere,
)
from envy.events.sharing import EntryNotTaken, EntryStored, EntryTaken
from envy.events.tests import (
    TestBuildComplete,
    TestBuildStart,
    TestExecuted,
    TestKeptLocal,
    TestPhaseComplete,
    TestPhaseStart,
    TestResultNotStored,
    TestResultNotTaken,
    TestResultStored,
    TestResultTaken,
)

__all__ = [
    "CacheHit", "CacheMiss", "DependencyAdded", "DownloadProgress", "EntryNotTaken", "EntryStored",
    "EntryTaken", "Event", "EventBus",
    "FilesProgress", "Listener", "LockAcquired", "LockBlocked", "LockReleased", "LogMessage",
    "LuaCtxAssetAccess", "LuaCtxExtractComplete", "LuaCtxExtractStart", "LuaCtxFetchComplete",
    "LuaCtxFetchStart", "LuaCtxProductAccess", "LuaCtxRunComplete", "LuaCtxRunStart",
    "OutputLine", "PackagesWanted", "PhaseBlocked", "PhaseComplete", "PhaseFailure",
    "PhaseSilent", "PhaseStart",
    "PhaseUnblocked", "RecipeAborted", "RecipeComplete", "RecipeRegistered",
    "ReferenceResolved", "ScriptExecuted", "ScriptKeptHere", "SlotAcquired",
    "SlotRefused", "SlotReleased", "Stamped",
    "StandardOutput", "TargetExtended", "TestBuildComplete", "TestBuildStart",
    "TestExecuted", "TestKeptLocal",
    "TestPhaseComplete", "TestPhaseStart", "TestResultNotStored", "TestResultNotTaken",
    "TestResultStored", "TestResultTaken", "ThreadComplete", "ThreadStart", "event_classes",
    "fields_of",
]  # fmt: skip


def event_classes() -> list[type[Event]]:
    """Return every event class of the contract, topic by topic."""
    # A slotted dataclass is created twice; the second class is the one in use.
    classes = {cls.__name__: cls for cls in Event.__subclasses__()}
    return sorted(classes.values(), key=lambda cls: cls.__module__)
