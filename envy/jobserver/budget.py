"""Jobserver: how many jobs are at work, counted over envy's slots and the tools of its scripts.

Every slot of envy is a job, and so is everything that a tool starts beside its first; the first
runs in the place of the slot that its script has. There are `jobs` in all. One of them envy always
has; for each further one somebody holds a token: envy for a slot, or a tool for what it started.

Guarantees
  tokens in the pipe + tokens of envy + tokens of tools = jobs - 1, while a script runs
  envy has a token for each of its slots but the first, and never asks for one to have that.
  While no script runs, all tokens are envy's, and none is moved: whoever starts no script pays
  nothing, not even for the FIFO, and what a killed tool took along is back.
  Who is refused is told when to ask again: by a thread that sleeps until the pipe has a token. It
  is there only while somebody was refused.
  Under the jobserver of somebody else, who started envy, the same holds; but the tokens of envy are
  moved whether scripts run or not, and those that a killed tool took along are lost.
Lock order: the coordinator's lock, then that of the Jobserver. Whoever was refused is called under
neither.
"""

from __future__ import annotations

import _thread
import contextlib
import os
import select
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from envy.interpreter import released

if TYPE_CHECKING:
    from envy.jobserver.tokens import TokenPipe

# A pipe holds at least so many bytes everywhere.
_MOST = 4096
_TOKEN = b"+"


class Admission(NamedTuple):
    """What a script is started with so that its tools take part."""

    variables: Mapping[str, str]
    descriptors: tuple[int, ...]


NOT_ADMITTED = Admission({}, ())


class Jobserver:
    """One per command. `running` is always the number of envy's slots that are taken."""

    def __init__(
        self,
        *,
        jobs: int,
        folder: Path,
        name: str,
        outer: TokenPipe | None = None,
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.jobs = min(jobs, _MOST)
        self._folder = folder
        self._name = name
        self._tell = tell
        self._outer = outer is not None
        self._pipe = outer
        self._wake = os.pipe() if outer is not None else None  # ends the sleep of the watcher
        self._lock = threading.Lock()
        self._running = 0
        self._held = b""  # envy's tokens, while tokens are moved
        self._scripts = 0
        self._freed: Callable[[], None] = lambda: None
        self._refused = False
        self._watcher: _thread.LockType | None = None  # let go when the watcher ends
        self._closed = False
        self._unavailable = not hasattr(os, "mkfifo")

    # -- what a pool asks ------------------------------------------------------------------------

    def on_freed(self, ask_again: Callable[[], None]) -> None:
        """Whom to call when more may be had after a refusal."""
        self._freed = ask_again

    def cover(self, running: int) -> bool:
        """Have what so many slots need; False if the rest is with others."""
        with self._lock:
            if self._moves_tokens() and len(self._held) < running - 1:
                assert self._pipe is not None
                token = self._pipe.take()
                if not token:
                    self._refuse()
                    return False
                self._held += token
            self._running = running
            return True

    def could_cover(self, running: int) -> bool:
        """Whether `cover` would say yes at this moment."""
        with self._lock:
            if not self._moves_tokens() or len(self._held) >= running - 1:
                return True
            return self._pipe is not None and self._pipe.count() > 0

    def settle(self, running: int) -> None:
        """So many slots are taken, and no more will be now: give the rest back."""
        with self._lock:
            self._running = running
            self._give_back(max(0, running - 1))

    def reason(self) -> str:
        """Why one is refused, for people."""
        if self._outer:
            return "the make that envy was started by has no job to spare"
        with self._lock:
            slots = self._running
        return (
            f"{self.jobs - slots} of {self.jobs} jobs (--jobs) are with tools, such as make, that "
            "scripts have started"
        )

    # -- what a script asks ----------------------------------------------------------------------

    @contextlib.contextmanager
    def admission(self) -> Iterator[Admission]:
        """Let the tools of a script take part while it runs, under the slot that it has."""
        descriptors = self._join()
        if descriptors is None:
            yield NOT_ADMITTED
            return
        from envy.jobserver.makeflags import naming_jobserver

        try:
            assert self._pipe is not None
            yield Admission(
                {"MAKEFLAGS": naming_jobserver(self._pipe.fifo, descriptors)}, descriptors
            )
        finally:
            self._leave(descriptors)

    def close(self) -> None:
        """Take part no more; the FIFO is gone."""
        with self._lock:
            self._closed = True
            watcher = self._watcher
            if self._wake is not None:
                os.write(self._wake[1], b"\0")
        if watcher is not None:
            with released():
                watcher.acquire()
        with self._lock:
            if self._outer:
                self._give_back(0)
            if self._pipe is not None:
                self._pipe.close()
            for descriptor in self._wake or ():
                os.close(descriptor)
            self._pipe, self._wake = None, None

    # -- inside ----------------------------------------------------------------------------------

    def _moves_tokens(self) -> bool:
        return self._pipe is not None and (self._outer or self._scripts > 0)

    def _give_back(self, kept: int) -> None:
        if self._moves_tokens() and len(self._held) > kept:
            assert self._pipe is not None
            surplus, self._held = self._held[kept:], self._held[:kept]
            self._pipe.put(surplus)

    def _join(self) -> tuple[int, int] | None:
        from envy.jobserver.tokens import make_pipe

        trouble = ""
        with self._lock:
            if self._unavailable or self._closed:
                return None
            try:
                if self._wake is None:
                    self._wake = os.pipe()
                if self._pipe is None:
                    self._pipe = make_pipe(self._folder, self._name)
                descriptors = self._pipe.open_for_tool()
            except OSError as error:
                self._unavailable = self._pipe is None
                trouble = f"{error.strerror} ({error.filename or self._folder})"
            else:
                self._scripts += 1
                if self._scripts == 1 and not self._outer:
                    self._deal()
                return descriptors
        self._tell(f"make and ninja are not told of --jobs: {trouble}")
        return None

    def _deal(self) -> None:
        """The first script starts: put into the pipe what envy does not need itself."""
        assert self._pipe is not None
        running = max(1, self._running)
        self._held = _TOKEN * (running - 1)
        wanted = max(0, self.jobs - running)
        there = self._pipe.count()
        for _ in range(there - wanted):
            self._pipe.take()
        self._pipe.put(_TOKEN * (wanted - there))

    def _leave(self, descriptors: tuple[int, int]) -> None:
        for descriptor in descriptors:
            os.close(descriptor)
        with self._lock:
            self._scripts -= 1
            ask_again = self._scripts == 0 and self._refused and not self._outer
            if ask_again:
                self._refused = False
        if ask_again:  # what killed tools held is there again, and nothing in the pipe tells so
            self._freed()

    def _refuse(self) -> None:
        self._refused = True
        if self._watcher is None and not self._closed:
            ended = _thread.allocate_lock()
            ended.acquire()
            # Where no thread can be had, the next slot that is let go is when to ask again.
            with contextlib.suppress(RuntimeError):
                _thread.start_new_thread(self._watch, (ended,))
                self._watcher = ended

    def _watch(self, ended: _thread.LockType) -> None:
        with self._lock:
            assert self._pipe is not None
            assert self._wake is not None
            poller = select.poll()
            poller.register(self._pipe.reading, select.POLLIN)
            poller.register(self._wake[0], select.POLLIN)
        while True:
            poller.poll()
            with self._lock:
                if self._ends_watch():
                    break
                self._refused = False
            self._freed()  # which may be refused again, for a tool was quicker
            with self._lock:
                if self._ends_watch():
                    break
        ended.release()

    def _ends_watch(self) -> bool:
        if self._refused and not self._closed:
            return False
        self._watcher = None
        return True
