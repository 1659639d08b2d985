"""The state of a run as a whole, which the parts of the coordinator share."""

from __future__ import annotations

import threading

from envy.interpreter import InterpreterSlot
from envy.scheduler.observer import SchedulerObserver


class RunState:
    """One lock, and the state that it guards besides the nodes.

    `active` and `cancelled` are changed by the coordinator, `crash` by the waiters; each under
    `lock`. `cancelled` and `crash` are set once, so that reading them needs no lock.
    """

    __slots__ = ("active", "cancelled", "crash", "interpreter", "lock", "observer")

    def __init__(self, interpreter: InterpreterSlot, observer: SchedulerObserver) -> None:
        self.lock = threading.Lock()
        self.interpreter = interpreter
        self.observer = observer
        self.active = 0  # nodes that are queued, running or waiting for a lock
        self.cancelled: Exception | None = None  # why nothing more starts
        self.crash: BaseException | None = None  # a bug that ended a worker
