"""The answers about an operation on a server, and what is done when they break off.

Guarantees
  A server that is gone in the middle of an operation is noticed: by a question every few minutes.
  Streams that break off are opened again, ever more slowly, until none has answered for a minute.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from envy.sharing.actions import NotExecuted

_TICK = 0.2  # seconds between two looks at whether the run was cancelled
_FIRST_ANSWER = 20.0  # seconds
SILENCE = 180.0  # seconds without an answer, after which the server is asked
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 5.0  # seconds before a stream is opened again
_MOST_BROKEN = 60.0  # seconds without an answer, from the first break


class NoFirstAnswer(Exception):
    """A stream was opened, and the server says nothing."""


class Breaks:
    """The streams of one operation that broke off, one after another."""

    def __init__(
        self,
        shown: str,
        check: Callable[[], None],
        *,
        pause: Callable[[float], object] | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._shown = shown
        self._check = check
        self._pause = pause or threading.Event().wait
        self._now = now
        self._next = _FIRST_PAUSE
        self._opened_at: float | None = None
        self._broken_at: float | None = None  # the first break after the last answer

    def note_answer(self) -> None:
        """Note that the server answered."""
        self._broken_at = None

    def before_stream(self) -> None:
        """Wait until a stream may be opened: the first one at once.

        Raises:
            NotExecuted: none has answered for too long; what `check` raises.
        """
        now = self._now()
        if self._opened_at is not None:
            if now - self._opened_at > _LONGEST_PAUSE:  # it lasted
                self._next = _FIRST_PAUSE
            if self._broken_at is None:
                self._broken_at = now
            if now - self._broken_at >= _MOST_BROKEN:
                raise NotExecuted(
                    f"{self._shown} broke off before an action ended, and did not answer again in "
                    f"{_MOST_BROKEN:g} s",
                    uri=self._shown,
                )
            until = now + self._next
            self._next = min(self._next * 2, _LONGEST_PAUSE)
            while (left := until - self._now()) > 0:
                self._check()
                self._pause(min(left, _TICK))
            self._check()
        self._opened_at = self._now()


def followed(
    call: Any,
    check: Callable[[], None],
    ask: Callable[[], Any] = lambda: None,
    silence: float = SILENCE,
) -> Iterator[Any]:
    """Yield the answers of a stream; `check` is called now and then.

    gRPC waits for the next answer without an end, so that another thread does it. The first answer
    says that an operation has begun, and comes at once. After `silence` seconds without an answer,
    `ask` returns one, or None.

    Raises:
        NoFirstAnswer: it did not come.
    """
    ends = time.monotonic() + _FIRST_ANSWER
    asks_at = time.monotonic() + silence
    has_begun = False
    answers = _queued(call)
    while True:
        try:
            answer = answers.get(timeout=_TICK)
        except queue.Empty:
            check()
            if not has_begun and time.monotonic() > ends:
                raise NoFirstAnswer from None
            if time.monotonic() < asks_at:
                continue
            answer = ask()
            asks_at = time.monotonic() + silence
            if answer is None:
                continue
        has_begun = True
        asks_at = time.monotonic() + silence
        if answer is None:
            return
        if isinstance(answer, Exception):
            raise answer
        yield answer


def _queued(call: Any) -> queue.SimpleQueue[Any]:
    """Return the answers of a stream as they come, and at its end None, or the error."""
    answers: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def follow() -> None:
        try:
            for answer in call:
                answers.put(answer)
            answers.put(None)
        except Exception as error:  # noqa: BLE001  raised where the answers are taken
            answers.put(error)

    threading.Thread(target=follow, daemon=True).start()
    return answers
