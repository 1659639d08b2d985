"""Turns what the scheduler reports about recipes into events."""

from __future__ import annotations

from collections.abc import Sequence

from envy import events as ev
from envy.events import EventBus
from envy.graph.recipe import Recipe
from envy.phase import RecipePhase
from envy.scheduler.coordination import Coordination
from envy.scheduler.observer import SchedulerObserver


class SchedulerEvents(SchedulerObserver):
    """Emits one event for each report, while a listener of the bus wants details."""

    def __init__(self, events: EventBus) -> None:
        self._events = events

    def is_listening(self) -> bool:
        """Return whether a listener wants events about slots, threads and gates."""
        return self._events.detailed

    def target_raised(self, node: Coordination, old: int) -> None:
        """Emit TargetExtended."""
        self._events.emit(
            ev.TargetExtended(
                recipe=_recipe(node).key.identity,
                old_target=RecipePhase(old),
                new_target=RecipePhase(node.target_phase),
            )
        )

    def worker_started(self, node: Coordination) -> None:
        """Emit ThreadStart."""
        self._events.emit(
            ev.ThreadStart(
                recipe=_recipe(node).key.identity, target_phase=RecipePhase(node.target_phase)
            )
        )

    def worker_rested(self, node: Coordination) -> None:
        """Emit ThreadComplete."""
        self._events.emit(
            ev.ThreadComplete(
                recipe=_recipe(node).key.identity, final_phase=RecipePhase(node.current_phase)
            )
        )

    def phase_blocked(self, node: Coordination, phase: int, waiting_for: Sequence[str]) -> None:
        """Emit PhaseBlocked."""
        key = _recipe(node).key
        self._events.emit(
            ev.PhaseBlocked(
                recipe=key.identity,
                key=key.canonical,
                phase=RecipePhase(phase),
                waiting_for=", ".join(waiting_for),
                target_phase=RecipePhase(node.target_phase),
            )
        )

    def phase_unblocked(
        self, node: Coordination, phase: int, waiting_for: Sequence[str], wait: float
    ) -> None:
        """Emit PhaseUnblocked."""
        key = _recipe(node).key
        self._events.emit(
            ev.PhaseUnblocked(
                recipe=key.identity,
                key=key.canonical,
                phase=RecipePhase(phase),
                waiting_for=", ".join(waiting_for),
                target_phase=RecipePhase(node.target_phase),
                wait_ms=round(wait * 1000),
            )
        )

    def slot_acquired(self, node: Coordination, wait: float) -> None:
        """Emit SlotAcquired."""
        key = _recipe(node).key
        self._events.emit(
            ev.SlotAcquired(
                recipe=key.identity,
                key=key.canonical,
                pool=_pool_name(node),
                wait_ms=round(wait * 1000),
            )
        )

    def slot_released(self, node: Coordination, hold: float) -> None:
        """Emit SlotReleased."""
        key = _recipe(node).key
        self._events.emit(
            ev.SlotReleased(
                recipe=key.identity,
                key=key.canonical,
                pool=_pool_name(node),
                hold_ms=round(hold * 1000),
            )
        )

    def slot_refused(self, node: Coordination, reason: str) -> None:
        """Emit SlotRefused."""
        self._events.emit(
            ev.SlotRefused(recipe=_recipe(node).key.identity, pool=_pool_name(node), reason=reason)
        )


def _recipe(node: Coordination) -> Recipe:
    recipe: Recipe = node.subject
    return recipe


def _pool_name(node: Coordination) -> str:
    return node.pool.name if node.pool is not None else ""
