"""The jobserver: one limit on jobs, for envy's slots and the tools of its scripts together.

Each slot of envy is a job, and so is each job that a tool starts beside its first one; the first
runs in the slot of its script. There are `jobs` jobs in all. The first of envy's slots needs no
token. For each further job there is one token: envy's for a slot, or a tool's for a job of its own.

Guarantees
  While a script runs, tokens in the pipe + tokens of envy + tokens of tools = jobs - 1.
  envy has a token for each of its slots but the first, which needs none.
  While no script runs, all tokens are envy's, and none is moved. So a command without scripts pays
  nothing, not even for the FIFO, and tokens that a killed tool took are restored.
  After a refusal, `on_freed` is called when the pipe has a token again: by a thread that sleeps
  until then. The thread exists only while a refusal is open.
  Under an outer jobserver, of a make that started envy, the same holds, but the tokens of envy are
  moved whether scripts run or not, and tokens that a killed tool took are lost.
Lock order: the coordinator's lock, then that of the Jobserver. `on_freed` is called under neither.
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

# The smallest capacity of a pipe on any system, in bytes.
_MOST_JOBS = 4096
_TOKEN = b"+"


class Admission(NamedTuple):
    """The variables and descriptors that let the tools of a script use the jobserver."""

    variables: Mapping[str, str]
    descriptors: tuple[int, ...]


NOT_ADMITTED = Admission({}, ())


class Jobserver:
    """The jobserver of a command. `running` is always the number of envy's slots in use."""

    def __init__(
        self,
        *,
        jobs: int,
        folder: Path,
        name: str,
        outer: TokenPipe | None = None,
        warn: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.jobs = min(jobs, _MOST_JOBS)
        self._folder = folder
        self._name = name
        self._warn = warn
        self._outer = outer is not None
        self._pipe = outer
        self._wake = os.pipe() if outer is not None else None  # wakes the watcher
        self._lock = threading.Lock()
        self._running = 0
        self._tokens = b""  # envy's tokens, while tokens are moved
        self._scripts = 0
        self._on_freed: Callable[[], None] = lambda: None
        self._refused = False
        self._watcher: _thread.LockType | None = None  # released when the watcher ends
        self._closed = False
        self._unavailable = not hasattr(os, "mkfifo")

    # -- for the pool of slots -------------------------------------------------------------------

    def on_freed(self, ask_again: Callable[[], None]) -> None:
        """Set the function to call when a refused request may succeed."""
        self._on_freed = ask_again

    def cover(self, running: int) -> bool:
        """Take the tokens that `running` slots need; False if the pipe has none."""
        with self._lock:
            if self._moves_tokens() and len(self._tokens) < running - 1:
                assert self._pipe is not None
                token = self._pipe.take()
                if not token:
                    self._refuse()
                    return False
                self._tokens += token
            self._running = running
            return True

    def could_cover(self, running: int) -> bool:
        """Return whether `cover` would succeed at this moment."""
        with self._lock:
            if not self._moves_tokens() or len(self._tokens) >= running - 1:
                return True
            return self._pipe is not None and self._pipe.count() > 0

    def settle(self, running: int) -> None:
        """Return the tokens that `running` slots do not need."""
        with self._lock:
            self._running = running
            self._return_tokens(max(0, running - 1))

    def reason(self) -> str:
        """Return why a slot is refused, as text for the user."""
        if self._outer:
            return "the make that started envy has no free job"
        with self._lock:
            slots = self._running
        return (
            f"{self.jobs - slots} of {self.jobs} jobs (--jobs) are in use by tools, such as make, "
            "that scripts have started"
        )

    # -- for scripts -----------------------------------------------------------------------------

    @contextlib.contextmanager
    def admission(self) -> Iterator[Admission]:
        """Let the tools of a script use the jobserver while the script runs, under its slot."""
        descriptors = self._start_script()
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
            self._end_script(descriptors)

    def close(self) -> None:
        """Return all tokens of an outer jobserver, and remove envy's own FIFO."""
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
                self._return_tokens(0)
            if self._pipe is not None:
                self._pipe.close()
            for descriptor in self._wake or ():
                os.close(descriptor)
            self._pipe, self._wake = None, None

    # -- inside ----------------------------------------------------------------------------------

    def _moves_tokens(self) -> bool:
        return self._pipe is not None and (self._outer or self._scripts > 0)

    def _return_tokens(self, kept: int) -> None:
        if self._moves_tokens() and len(self._tokens) > kept:
            assert self._pipe is not None
            surplus, self._tokens = self._tokens[kept:], self._tokens[:kept]
            self._pipe.put(surplus)

    def _start_script(self) -> tuple[int, int] | None:
        from envy.jobserver.tokens import make_pipe

        problem = ""
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
                problem = f"{error.strerror} ({error.filename or self._folder})"
            else:
                self._scripts += 1
                if self._scripts == 1 and not self._outer:
                    self._fill_pipe()
                return descriptors
        self._warn(f"make and ninja cannot share --jobs: {problem}")
        return None

    def _fill_pipe(self) -> None:
        """Put the tokens that envy does not need into the pipe, before the first script starts."""
        assert self._pipe is not None
        running = max(1, self._running)
        self._tokens = _TOKEN * (running - 1)
        wanted = max(0, self.jobs - running)
        present = self._pipe.count()
        for _ in range(present - wanted):
            self._pipe.take()
        self._pipe.put(_TOKEN * (wanted - present))

    def _end_script(self, descriptors: tuple[int, int]) -> None:
        for descriptor in descriptors:
            os.close(descriptor)
        with self._lock:
            self._scripts -= 1
            ask_again = self._scripts == 0 and self._refused and not self._outer
            if ask_again:
                self._refused = False
        if ask_again:  # tokens of killed tools are restored, which the pipe does not show
            self._on_freed()

    def _refuse(self) -> None:
        self._refused = True
        if self._watcher is None and not self._closed:
            ended = _thread.allocate_lock()
            ended.acquire()
            # If no thread can be started, the next released slot triggers a new request.
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
            self._on_freed()  # may be refused again, if a tool was quicker
            with self._lock:
                if self._ends_watch():
                    break
        ended.release()

    def _ends_watch(self) -> bool:
        if self._refused and not self._closed:
            return False
        self._watcher = None
        return True
