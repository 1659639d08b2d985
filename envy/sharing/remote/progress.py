"""How far an action on a server is, and when nobody waits for it any more."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from buildgrid.common.protos.build.bazel.remote.execution.v2 import (
    remote_execution_pb2 as reapi,
)
from google.protobuf.message import DecodeError

from envy.sharing.actions import NotExecuted, RemoteAction

LONGEST_QUEUED = 300.0  # seconds without a worker; then the program runs here
_ANSWER = 5.0  # seconds for a program that ends when it has to, and for what it wrote
_STAGES = reapi.ExecutionStage
_WAITS = frozenset({_STAGES.CACHE_CHECK, _STAGES.QUEUED})


class OutOfTime(Exception):
    """The moment at which all actions are to have ended is over."""


@dataclass(slots=True, kw_only=True)
class ActionProgress:
    """One action that is waited for."""

    action: RemoteAction
    shown: str
    patience: float
    check: Callable[[], None]
    on_stage: Callable[[str], None]  # is told what the action does, as a part of a sentence
    was_sent: bool = False
    stage: int = _STAGES.UNKNOWN
    since: float = field(default_factory=time.monotonic)

    def begin(self) -> None:
        """Note that the server was asked to execute the action."""
        self.was_sent = True
        self._enter(_STAGES.UNKNOWN)

    def note(self, operation: Any) -> None:
        """Note the stage that an operation tells, if it tells one."""
        metadata = reapi.ExecuteOperationMetadata()
        try:
            is_told = operation.metadata.Unpack(metadata)
        except DecodeError:
            return
        if is_told and metadata.stage != self.stage:
            self._enter(metadata.stage)

    def watch(self) -> None:
        """Raise an error if the action is not to be waited for any longer.

        Raises:
            OutOfTime: its time is over; NotExecuted: no worker takes it, or it does not end.
        """
        self.check()
        now = time.monotonic()
        may_run = self.was_sent and self.stage not in _WAITS
        ends_at = self.action.ends_at
        if ends_at is not None and now >= ends_at + (_ANSWER if may_run else 0.0):
            raise OutOfTime
        if not self.was_sent:
            return
        most = self.patience
        if may_run:
            # A server that does not tell the stage may have no worker.
            if self.stage != _STAGES.UNKNOWN and not self.action.timeout:
                return
            most += self.action.timeout
        if now - self.since < most:
            return
        if may_run and self.action.timeout:
            text = f"{self.shown} has not ended an action within its time limit"
        elif may_run:
            text = f"{self.shown} did not say in {self.patience:g} s that a worker has an action"
        else:
            text = (
                f"{self.shown} had no worker for an action in {self.patience:g} s "
                "(ENVY_REMOTE_PLATFORM says which properties a worker must have)"
            )
        raise NotExecuted(text, uri=self.shown)

    def _enter(self, stage: int) -> None:
        self.stage, self.since = stage, time.monotonic()
        if stage in _WAITS:
            self.on_stage("waits for a worker of")
        else:
            self.on_stage("runs on" if stage != _STAGES.UNKNOWN else "was sent to")
