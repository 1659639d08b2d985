"""The server that runs scripts of recipes, in use by one command.

Guarantees
  Whatever the server does, each script is run: what it does not run is run here.
  A server that does not answer, or fails three scripts, is one warning, and not used again. One
  whose results hold what is not used here is not to blame.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Protocol

from envy.errors import Cancelled, EnvyError

if TYPE_CHECKING:
    from envy.sharing.actions import Executed, RemoteAction

_MOST_FAILURES = 3  # scripts that the server did not run, before it is not used any more


class ScriptExecutor(Protocol):
    """A server that executes actions and returns the folders that they write."""

    shown: str

    def check(self) -> None:
        """Raise a FetchError if it executes nothing."""

    def is_news(self, error: EnvyError) -> bool:
        """Return whether an error of it is to be reported."""

    def execute(self, action: RemoteAction, check: Callable[[], None]) -> Executed:
        """Return how an action ends."""

    def bring(
        self,
        action: RemoteAction,
        executed: Executed,
        folders: Mapping[str, str],
        check: Callable[[], None],
    ) -> None:
        """Create new folders with what an action has left in its output folders."""


class RemoteScripts:
    """A server and its state in one run; used by the workers of several recipes at once."""

    def __init__(self, executor: ScriptExecutor, *, jobs: int, warn: Callable[[str], None]) -> None:
        """`jobs` scripts run on the server at once; `warn` is told once that it is not used."""
        self._executor = executor
        self._warn = warn
        self._turns = threading.BoundedSemaphore(jobs)
        self._lock = threading.Lock()
        self._asking = threading.Lock()
        self._is_checked = False
        self._why_off = ""
        self._failures = 0

    @property
    def shown(self) -> str:
        """The address of the server."""
        return self._executor.shown

    @property
    def is_used(self) -> bool:
        """Whether scripts are sent to the server."""
        return not self._why_off

    def run(
        self,
        action: RemoteAction,
        take: Callable[[RemoteAction, Executed, ScriptExecutor], None],
        check: Callable[[], None],
    ) -> Executed | str:
        """Execute an action when it is its turn, and `take` what it has left.

        Returns the reason if the script has to run here. The caller holds no slot.

        Raises:
            Cancelled: the run is ending; what `take` raises that is no EnvyError.
        """
        import dataclasses

        from envy.transport.context import NotFound

        with self._turns:
            check()
            try:
                self._connect()
                if self._why_off:
                    return self._why_off
                executed = self._executor.execute(action, check)
                try:
                    take(action, executed, self._executor)
                except NotFound:
                    if not executed.is_cached:
                        raise
                    # A former result, of which the server does not have all any more.
                    again = dataclasses.replace(action, reads_cache=False)
                    executed = self._executor.execute(again, check)
                    take(action, executed, self._executor)
                return executed
            except Cancelled:
                raise
            except EnvyError as error:
                return self._failed(error)

    def _connect(self) -> None:
        with self._asking:
            if not self._is_checked and not self._why_off:
                try:
                    self._executor.check()
                except Cancelled:
                    raise
                except EnvyError as error:
                    self._switch_off(error)
                self._is_checked = True

    def _failed(self, error: EnvyError) -> str:
        from envy.sharing.actions import NotExecuted, ResultNotUsed
        from envy.transport.context import NotFound

        if isinstance(error, ResultNotUsed):  # the server has done its part
            return error.message.partition("\n")[0]
        is_this_action = isinstance(error, NotExecuted | NotFound)
        with self._lock:
            self._failures += 1
            is_last = self._failures >= _MOST_FAILURES
        if not is_this_action or is_last:
            self._switch_off(error)
        return error.message.partition("\n")[0]

    def _switch_off(self, error: EnvyError) -> None:
        message = error.message.partition("\n")[0]
        with self._lock:
            is_first, self._why_off = not self._why_off, self._why_off or message
        if is_first and self._executor.is_news(error):
            hint = f" ({error.hint})" if error.hint else ""
            self._warn(f"{message}{hint}; scripts run here")
