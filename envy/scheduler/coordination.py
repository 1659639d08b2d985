"""What the coordination core keeps for each node, and what a sort of node has to provide.

Plain records; the coordinator (envy.scheduler.coordinator) is the only one that changes them.
"""

from __future__ import annotations

import _thread
from collections.abc import Sequence
from enum import Enum
from typing import Any, Protocol

from envy.scheduler.pool import Pool


class NodeState(Enum):
    """What a node is doing; with `since`, `waiting_for` and its gates, why it waits."""

    RESTING = "resting"
    MOVING = "about to go on"
    BLOCKED = "blocked"
    QUEUED = "queued"
    RUNNING = "running"
    LOCKED_OUT = "waiting for a lock"


class Gate:
    """What a phase still waits for."""

    __slots__ = ("closed_at", "count", "dependencies")

    def __init__(self) -> None:
        self.dependencies: list[Coordination] = []  # in declaration order
        self.count = 0
        self.closed_at = 0.0


class Coordination:
    """One node: its worker's progress, its gates, its failure.

    The subject is the business of the kind alone.
    """

    __slots__ = (
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
        "waiters",
        "waiting_for",
        "work_from",
    )

    def __init__(self, name: str, kind: NodeKind, subject: Any) -> None:
        self.name = name
        self.kind = kind
        self.subject = subject
        self.thread: int | None = None  # the worker thread that carries it now
        self.current_phase = -1  # the last one completed
        self.target_phase = -1  # run until here, inclusive
        self.state = NodeState.RESTING
        self.since = 0.0
        self.waiting_for = ""
        self.path_after = 0.0  # what others need that wait for it, one after another
        self.work_from: Sequence[float] = ()  # by phase: what is left of its own; () is nothing
        self.gates: dict[int, Gate] | None = None
        self.failure: Exception | None = None
        self.pool: Pool[Coordination] | None = None
        self.granted_at = 0.0
        self.dependents: list[tuple[Coordination, Gate]] | None = None
        self.waiters: list[tuple[int, Waiter]] | None = None
        self.parked: Any = None  # the lock that a thread without a slot waits at

    @property
    def priority(self) -> float:
        """How long the path is that begins with its next phase."""
        return self.path_from(self.current_phase + 1)

    def path_from(self, phase: int) -> float:
        """How long the path is that begins with one of its phases."""
        return self.path_after + (self.work_from[phase] if self.work_from else 0.0)

    @property
    def complete(self) -> bool:
        """Whether the last phase is done."""
        return self.current_phase >= self.kind.last_phase

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.failure is not None or self.current_phase >= self.kind.last_phase


class NodeKind(Protocol):
    """The table for one sort of node. Called by the node's worker, under no lock of the core's."""

    last_phase: int

    def pool(self, node: Coordination, phase: int) -> Pool[Coordination]:
        """Whose slot this phase runs under."""

    def skips(self, node: Coordination, phase: int) -> bool:
        """Whether the phase has nothing to do: it then needs no slot and emits nothing."""

    def run(self, node: Coordination, phase: int) -> None:
        """Do the phase, with its events; whatever it raises is the node's failure."""

    def rest(self, node: Coordination) -> None:
        """The worker is about to rest or to be blocked: let go of locks."""

    def failed(self, node: Coordination, phase: int, error: Exception) -> Exception:
        """The failure to keep for an error of a phase; also the place to tell of it."""

    def aborted(self, node: Coordination, phase: int, dependency: Coordination) -> Exception:
        """The failure to keep when a gate opens on a dependency that failed."""


class Waiter:
    """Someone outside who waits for several nodes to get somewhere."""

    __slots__ = ("_told", "count", "wake")

    def __init__(self) -> None:
        self.count = 0
        self._told = False
        self.wake = _thread.allocate_lock()
        self.wake.acquire()

    def tell(self) -> None:
        """Wake who waits, once; called under the coordinator's lock."""
        if not self._told:
            self._told = True
            self.wake.release()


def tell_waiters(node: Coordination) -> None:
    """Count down those who wait for what a node has got to; called under the coordinator's lock."""
    if not node.waiters:
        return
    kept = []
    for phase, waiter in node.waiters:
        if node.failure is None and node.current_phase < phase:
            kept.append((phase, waiter))
            continue
        waiter.count -= 1
        if waiter.count == 0:
            waiter.tell()
    node.waiters = kept
