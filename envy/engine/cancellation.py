"""Cancellation: ends a run early, and keeps the reason."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from envy.errors import Cancelled, PhaseFailed, StoppedEarly
from envy.scheduler.coordinator import Coordinator

if TYPE_CHECKING:
    from envy.host.children import Children


class Cancellation:
    """Ends the run once, for the first reason given.

    `on_stop` is called before the first failure ends it: what cannot be stopped is to be abandoned.
    """

    def __init__(
        self,
        coordinator: Coordinator,
        children: Children,
        *,
        fail_fast: bool = False,
        on_stop: Callable[[], None] = lambda: None,
    ) -> None:
        self.reason: Cancelled | None = None
        self._ended = threading.Event()
        self._coordinator = coordinator
        self._children = children
        self._fail_fast = fail_fast
        self._on_stop = on_stop

    def cancel(self, reason: Cancelled) -> None:
        """Start nothing more and end all children. May be called from any thread."""
        if self.reason is None:
            self.reason = reason
            self._ended.set()
            self._coordinator.cancel(reason)
            self._children.terminate_all()

    def pause(self, seconds: float) -> None:
        """Wait for a time, or until the run is ended early."""
        self._ended.wait(seconds)

    def on_failure(self, failure: PhaseFailed) -> None:
        """End the run at its first failure, if it was started with --fail-fast."""
        if self._fail_fast:
            self._on_stop()
            self.cancel(StoppedEarly(f"stopped, because {failure.key} failed (--fail-fast)"))

    def raise_if_cancelled(self) -> None:
        """Raise the reason, if there is one."""
        if self.reason is not None:
            raise self.reason
