"""Lookups in the cache, and the locks of the cache."""

import dataclasses
from typing import ClassVar

from envy.events.base import WITHIN, Event, event


@event
class CacheHit(Event):
    text: ClassVar[str] = "{recipe}: cached at {asset_path}"
    recipe: str
    cache_key: str
    asset_path: str
    fast_path: bool


@event
class CacheMiss(Event):
    text: ClassVar[str] = "{recipe}: not cached: {reason}"
    recipe: str
    cache_key: str
    asset_path: str
    reason: str


@event
class LockBlocked(Event):
    """Another process holds the lock; `held_by` is "" if the process is unknown."""

    text: ClassVar[str] = "{recipe}: waiting for the lock {lock_path}, held by {held_by}"
    recipe: str
    key: str = dataclasses.field(default="", metadata=WITHIN)
    lock_path: str
    held_by: str


@event
class LockAcquired(Event):
    text: ClassVar[str] = "{recipe}: lock {lock_path} after {wait_ms} ms"
    recipe: str
    key: str = dataclasses.field(default="", metadata=WITHIN)
    lock_path: str
    wait_ms: int


@event
class LockReleased(Event):
    text: ClassVar[str] = "{recipe}: lock {lock_path} held {hold_ms} ms"
    recipe: str
    key: str = dataclasses.field(default="", metadata=WITHIN)
    lock_path: str
    hold_ms: int
