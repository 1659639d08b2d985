"""Entries that are taken from depots, and stored in them."""

import dataclasses
from typing import ClassVar

from envy.events.base import WITHIN, Event, event


@event
class EntryTaken(Event):
    """An entry was taken from a depot, and verified; `bytes` is the size of its object."""

    text: ClassVar[str] = "{recipe}: taken from {depot}, {bytes} bytes in {duration_ms} ms"
    recipe: str
    key: str = dataclasses.field(default="", metadata=WITHIN)
    depot: str
    bytes: int
    duration_ms: int


@event
class EntryNotTaken(Event):
    """A depot does not have an entry, or it cannot be used here."""

    text: ClassVar[str] = "{recipe}: not taken from {depot}: {reason}"
    recipe: str
    depot: str
    reason: str


@event
class EntryStored(Event):
    """An entry was stored in a depot; `bytes` is 0 if the depot had it."""

    text: ClassVar[str] = "{recipe}: stored in {depot}, {bytes} bytes in {duration_ms} ms"
    recipe: str
    key: str = dataclasses.field(default="", metadata=WITHIN)
    depot: str
    bytes: int
    duration_ms: int
