"""Cancellation: ends a run early, and keeps the reason."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from envy.errors import Cancelled, PhaseFailed, StoppedEarly
from envy.scheduler.coordinator import Coordinator

if TYPE_CHECKING:
    from envy.host.children import Children


class Cancellation:
    """Ends the run once, for the first reason given."""

    def __init__(
        self, coordinator: Coordinator, children: Children, *, fail_fast: bool = False
    ) -> None:
        self.reason: Cancelled | None = None
        self._ended = threading.Event()
        self._coordinator = coordinator
        self._children = children
        self._fail_fast = fail_fast

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
            self.cancel(StoppedEarly(f"stopped, because {failure.key} failed (--fail-fast)"))

    def raise_if_cancelled(self) -> None:
        """Raise the reason, if there is one."""
        if self.reason is not None:
            raise self.reason
