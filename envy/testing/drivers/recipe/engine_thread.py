"""Running the engine beside the Lua code of a test.

While a function of a test waits for the engine, the engine may need the test: an answer of a
program may be a function. A Lua state is used by one thread at a time, so the engine runs in a
thread of its own, and the thread of the test waits for its questions.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from envy.interpreter import released

Result = TypeVar("Result")


class _Outcome(Generic[Result]):
    """What a call returned, or raised."""

    __slots__ = ("error", "value")

    def __init__(self, call: Callable[[], Result]) -> None:
        self.value: Result | None = None
        self.error: BaseException | None = None
        try:
            self.value = call()
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that waits
            self.error = error

    def get(self) -> Result:
        if self.error is not None:
            raise self.error
        return self.value  # type: ignore[return-value]


class EngineThread:
    """Runs one piece of work at a time in a thread of its own; see above."""

    def __init__(self) -> None:
        self._mail: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self.is_busy = False

    def run(self, work: Callable[[], Result]) -> Result:
        """Do the work, and return its result; meanwhile, answer what it asks this thread."""
        done: list[_Outcome[Result]] = []

        def body() -> None:
            done.append(_Outcome(work))
            self._mail.put(None)

        self.is_busy = True
        try:
            threading.Thread(target=body, name="recipe-test-engine", daemon=True).start()
            while (question := self._mail.get()) is not None:
                question()
        finally:
            self.is_busy = False
        return done[0].get()

    def ask(self, call: Callable[[], Result]) -> Result:
        """Have the thread that waits in `run` make a call, and return its result."""
        reply: queue.SimpleQueue[_Outcome[Result]] = queue.SimpleQueue()
        self._mail.put(lambda: reply.put(_Outcome(call)))
        with released():
            outcome = reply.get()
        return outcome.get()
