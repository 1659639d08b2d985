"""The record that the scheduler keeps for each node, and the protocol of a kind of node.

Plain records. Only the coordinator and its two parts, Workers and Waiters, change them.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from enum import Enum
from typing import Any, Protocol

from envy.scheduler.pool import Pool

NOT_AWAITED = 1 << 30  # greater than any phase


class NodeState(Enum):
    """What a node is doing. The coordinator draws the transitions above `Coordinator._carry`."""

    RESTING = "resting"
    MOVING = "about to go on"
    BLOCKED = "blocked"
    QUEUED = "queued"
    RUNNING = "running"
    LOCKED_OUT = "waiting for a lock"


class Gate:
    """A counter of what a phase still waits for; it wakes the node once, at zero."""

    __slots__ = ("dependencies", "reached_at", "unfinished")

    def __init__(self) -> None:
        self.dependencies: list[Coordination] = []  # in declaration order
        self.unfinished = 0
        self.reached_at = 0.0  # when the node was blocked here; 0.0: not yet


class Coordination:
    """The progress of one node, its gates and its failure.

    Only the kind knows what `subject` is.
    """

    __slots__ = (
        "awaited",
        "changed",
        "current_phase",
        "dependents",
        "failure",
        "gates",
        "granted_at",
        "kind",
        "name",
        "parked",
        "path_after",
        "pool",
        "since",
        "state",
        "subject",
        "target_phase",
        "thread",
        "waiting_for",
        "work_from",
    )

    def __init__(self, name: str, kind: NodeKind, subject: Any) -> None:
        self.name = name
        self.kind = kind
        self.subject = subject
        self.thread: int | None = None  # the worker thread that carries it now
        self.changed: threading.Condition | None = None  # None until a thread waits for the node
        self.awaited = NOT_AWAITED  # the lowest phase that a thread waits for
        self.current_phase = -1  # the last one completed
        self.target_phase = -1  # run until here, inclusive
        self.gates: dict[int, Gate] | None = None  # by phase; None until there is one
        self.failure: Exception | None = None
        self.state = NodeState.RESTING
        self.since = 0.0  # when it entered its state
        self.waiting_for = ""  # what it waits for in LOCKED_OUT, in words
        self.path_after = 0.0  # seconds of the longest chain of nodes that wait for this one
        self.work_from: Sequence[float] = ()  # by phase, its own seconds from there on; (): none
        self.pool: Pool[Coordination] | None = None
        self.granted_at = 0.0
        self.dependents: list[tuple[Coordination, Gate]] | None = None
        self.parked: Any = None  # the lock that a thread without a slot waits at

    @property
    def priority(self) -> float:
        """The seconds of the path that begins with its next phase."""
        return self.path_from(self.current_phase + 1)

    def path_from(self, phase: int) -> float:
        """Return the seconds of the path that begins with one of its phases."""
        return self.path_after + (self.work_from[phase] if self.work_from else 0.0)

    @property
    def complete(self) -> bool:
        """Whether the last phase is completed."""
        return self.current_phase >= self.kind.last_phase

    @property
    def ended(self) -> bool:
        """Whether it is complete or has failed."""
        return self.failure is not None or self.current_phase >= self.kind.last_phase


class NodeKind(Protocol):
    """Defines the phases of one kind of node.

    Called by the node's worker, under none of the scheduler's locks.
    """

    last_phase: int

    def pool(self, node: Coordination, phase: int) -> Pool[Coordination]:
        """Return the pool whose slot the phase runs under."""

    def skips(self, node: Coordination, phase: int) -> bool:
        """Return whether the phase has nothing to do: it then needs no slot and emits nothing."""

    def run(self, node: Coordination, phase: int) -> None:
        """Run the phase and emit its events; an exception becomes the node's failure."""

    def rest(self, node: Coordination) -> None:
        """Release the node's locks: its worker is about to rest or to be blocked."""

    def failed(self, node: Coordination, phase: int, error: Exception) -> Exception:
        """Report an error of a phase; returns the failure to keep."""

    def aborted(self, node: Coordination, phase: int, dependency: Coordination) -> Exception:
        """Report that a gate opened on a failed dependency; returns the failure to keep."""
