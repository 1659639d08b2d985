"""The scheduler: its workers, targets, gates and slots."""

import dataclasses
from typing import ClassVar

from envy.events.base import WITHIN, Event, event
from envy.phase import RecipePhase


@event
class ThreadStart(Event):
    text: ClassVar[str] = "{recipe}: worker started, target {target_phase}"
    recipe: str
    target_phase: RecipePhase


@event
class ThreadComplete(Event):
    text: ClassVar[str] = "{recipe}: worker stopped after {final_phase}"
    recipe: str
    final_phase: RecipePhase


@event
class TargetExtended(Event):
    text: ClassVar[str] = "{recipe}: target {old_target} → {new_target}"
    recipe: str
    old_target: RecipePhase
    new_target: RecipePhase


@event
class PhaseBlocked(Event):
    text: ClassVar[str] = "{recipe}: {phase} waiting for {waiting_for}"
    recipe: str
    key: str = dataclasses.field(default="", metadata=WITHIN)
    phase: RecipePhase
    waiting_for: str
    target_phase: RecipePhase


@event
class PhaseUnblocked(Event):
    text: ClassVar[str] = "{recipe}: {phase} waited {wait_ms} ms for {waiting_for}"
    recipe: str
    key: str = dataclasses.field(default="", metadata=WITHIN)
    phase: RecipePhase
    waiting_for: str
    target_phase: RecipePhase
    wait_ms: int


@event
class SlotAcquired(Event):
    text: ClassVar[str] = "{recipe}: {pool} slot after {wait_ms} ms"
    recipe: str
    key: str = dataclasses.field(default="", metadata=WITHIN)
    pool: str
    wait_ms: int


@event
class SlotRefused(Event):
    text: ClassVar[str] = "{recipe}: waiting for a job of the {pool} slots: {reason}"
    recipe: str
    pool: str
    reason: str


@event
class SlotReleased(Event):
    text: ClassVar[str] = "{recipe}: {pool} slot held {hold_ms} ms"
    recipe: str
    key: str = dataclasses.field(default="", metadata=WITHIN)
    pool: str
    hold_ms: int
