"""Running one program: starting it, reading its output, waiting for its end, and cleaning up.

Guarantees
  A child has no input and no terminal, and has its own session and process group. An interactive
  child is different: it has envy's terminal and stays in envy's group. A child inherits no
  descriptors except those listed in its ProcessSpec.
  When `run_argv` returns or raises, the child is reaped and every other member of its group has
  been killed. A descendant that left the group and holds the pipes open is not waited for.
  The interpreter slot is held whenever `on_output` or a hook is called, never while waiting.
"""

import contextlib
import os
import select
import shlex
import signal
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

from envy.errors import Cancelled, ScriptFailed
from envy.host.captured import Captured
from envy.host.children import GRACE, Child, Children
from envy.host.process_table import members_of_group
from envy.host.tail import LONGEST_TAIL, Tail
from envy.interpreter import released

if TYPE_CHECKING:
    import subprocess

    from envy.host.failed_line import FailedLine

OnOutput = Callable[[str, bytes], None]  # `stdout`, `stderr` or `events`, and a chunk of it

_CHUNK = 1 << 16
_CHUNKS_AT_ONCE = 16
_PIPE_SIZE = 1 << 20

# Between fork and exec a child holds copies of the files that other threads are writing, and
# executing such a file then fails with "text file busy". One start at a time prevents that.
_start_lock = threading.Lock()


@dataclass(frozen=True, slots=True, kw_only=True)
class Completed:
    """How a child ended. After a signal, the exit code is 128 plus the signal, as in a shell."""

    exit_code: int
    signal: int | None = None
    stdout: bytes = b""  # both are empty unless output is captured
    stderr: bytes = b""
    timed_out: bool = False
    left_behind: tuple[tuple[int, str], ...] = ()  # number and name of live members of its group
    failed_line: "FailedLine | None" = None  # of a script, if its shell told it


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessSpec:
    """A program to run, and how to run it."""

    argv: Sequence[str]
    command: str  # as reports and messages show it
    cwd: Path
    environment: Mapping[str, str]
    children: Children
    label: str = ""
    on_output: OnOutput | None = None
    capture: bool = False
    timeout: float | None = None
    interactive: bool = False
    merged: bool = False  # stderr goes to the pipe of stdout, which keeps their order
    moving_deadline: Callable[[], float | None] | None = None  # called before every wait
    ending_signal: signal.Signals = signal.SIGTERM  # sent at the deadline
    grace: float = GRACE  # seconds between that and SIGKILL
    longest_tail: float = LONGEST_TAIL  # seconds for processes that outlive the child and work
    looks_for_leftovers: bool = False
    descriptors: Sequence[int] = ()  # inherited, with the same numbers
    # A pipe for the stream `events`: its write end is inherited, and closed here after the start.
    event_pipe: tuple[int, int] | None = None


def run_argv(
    argv: Sequence[str],
    *,
    cwd: Path,
    environment: Mapping[str, str],
    children: Children,
    label: str = "",
    shown: str = "",
    on_output: OnOutput | None = None,
    capture: bool = False,
    timeout: float | None = None,
    interactive: bool = False,
    descriptors: Sequence[int] = (),
) -> Completed:
    """Run a program, found on the PATH of `environment`, and return how it ended.

    Any exit code is returned, not raised. `shown` replaces the command in reports and messages,
    where the command itself must not be shown. After `timeout` seconds the group is asked to end,
    then killed, and `timed_out` is set.

    Raises:
        ScriptFailed: the program could not be started.
        Cancelled: `children.terminate_all` was called.
    """
    return run(
        ProcessSpec(
            argv=argv,
            command=shown or shlex.join(argv),
            cwd=cwd,
            environment=environment,
            children=children,
            label=label,
            on_output=on_output,
            capture=capture,
            timeout=timeout,
            interactive=interactive,
            descriptors=descriptors,
        )
    )


def run(spec: ProcessSpec) -> Completed:
    """Run a program; see `run_argv`."""
    children = spec.children
    children.ensure_open()
    if children.stand_in is not None and (answer := children.stand_in(spec)) is not None:
        return cast("Completed", answer)
    process = _start(spec)
    has_group = not spec.interactive
    child = Child(process.pid, label=spec.label, command=spec.command, has_group=has_group)
    children.add(child)
    with contextlib.ExitStack() as undo:
        if child.has_group:
            undo.callback(children.on_end, child.pid)
        undo.callback(_clear_up, process, child, children)
        if child.has_group:
            children.on_start(child.pid)
        watch = _watch(spec, process, child)
        undo.callback(watch.close)
        captured = _relay(watch, spec)
        with released():
            children.remove(child)
            status = _reap(process, spec)
    completed = _completed(status, captured, watch)
    if child.kill_at is not None and completed.exit_code:
        raise Cancelled(f"stopped, because the run is ending: {spec.command}")
    return completed


def _relay(watch: "_Watch", spec: ProcessSpec) -> Captured:
    """Pass on the output of the child until it has ended; return it if it is captured."""
    captured = Captured(spec.command)
    while not watch.finished:
        with released():
            chunks = watch.wait()
        for stream, chunk in chunks:
            if spec.capture and stream != "events":
                captured.add(stream, chunk)
            if spec.on_output is not None:
                spec.on_output(stream, chunk)
    return captured


def _watch(spec: ProcessSpec, process: "subprocess.Popen[bytes]", child: Child) -> "_Watch":
    try:
        return _Watch(spec, process, child)
    except OSError as error:  # most likely too many open files
        raise _start_error(error, spec) from error


class _Watch:
    """The wait for one child: for output on its pipes, for its end, and for deadlines."""

    __slots__ = (
        "_child",
        "_children",
        "_deadline",
        "_exit",
        "_exited",
        "_on_deadline",
        "_poller",
        "_spec",
        "_streams",
        "_tail",
        "finished",
        "left_behind",
        "timed_out",
    )

    def __init__(self, spec: ProcessSpec, process: "subprocess.Popen[bytes]", child: Child) -> None:
        self._child = child
        self._spec = spec
        self._children = spec.children
        self._exited = self.finished = self.timed_out = False
        self.left_behind: tuple[tuple[int, str], ...] = ()
        timeout = spec.timeout
        self._deadline = None if timeout is None else child.started + timeout
        self._on_deadline = self._ask_to_end
        self._tail = Tail(child.pid, spec.longest_tail)
        self._streams: dict[int, str] = {}
        self._poller = select.poll()
        self._exit = spec.children.watch_exit(child.pid)
        self._poller.register(self._exit, select.POLLIN)
        pipes = [("stdout", process.stdout), ("stderr", process.stderr)]
        descriptors = [(name, pipe.fileno()) for name, pipe in pipes if pipe is not None]
        descriptors += [("events", end) for end in (spec.event_pipe or ())[:1]]
        for name, descriptor in descriptors:
            self._streams[descriptor] = name
            _enlarge_pipe(descriptor)
            self._poller.register(descriptor, select.POLLIN)

    def wait(self) -> list[tuple[str, bytes]]:
        """Block until the child has written output or is finished; return the output."""
        chunks: list[tuple[str, bytes]] = []
        while not chunks and not self.finished:
            ready, now = self._poller.poll(self._patience()), time.monotonic()
            for descriptor, _ in ready:
                if descriptor == self._exit:
                    self._note_exit()
                else:
                    chunks += self._read(descriptor)
            if chunks:
                self._child.last_output = now  # before the tail begins, if it begins now
            if self._deadline is not None and time.monotonic() >= self._deadline:
                self._on_deadline()
            if self._exited and not self._streams:
                self.finished = True
            if self.finished:
                if self._spec.looks_for_leftovers:
                    self._end_leftovers()
                chunks += self._drain()
        return chunks

    def close(self) -> None:
        """Close the exit descriptor; after an exception, kill the child and wait for it first."""
        if not self._exited:
            self._children.send(self._child, signal.SIGKILL)
            last = select.poll()
            last.register(self._exit, select.POLLIN)
            with released():
                last.poll()
        os.close(self._exit)

    def _patience(self) -> float | None:
        """Milliseconds until the deadline."""
        if self._spec.moving_deadline and not (self._exited or self.timed_out):
            self._deadline = self._spec.moving_deadline()
        if self._deadline is None:
            return None
        return max(0.0, self._deadline - time.monotonic()) * 1000

    def _note_exit(self) -> None:
        self._exited = True
        self._poller.unregister(self._exit)
        self._on_deadline = self._stop_listening
        # A group that was asked to end keeps its deadline.
        if not self.timed_out or self._deadline is None:
            self._deadline = self._child.kill_at or self._tail.begin()

    def _read(self, descriptor: int) -> list[tuple[str, bytes]]:
        name = self._streams[descriptor]
        chunks: list[tuple[str, bytes]] = []
        while len(chunks) < _CHUNKS_AT_ONCE:
            try:
                chunk = os.read(descriptor, _CHUNK)
            except BlockingIOError:
                break
            if not chunk:
                self._poller.unregister(descriptor)
                del self._streams[descriptor]
                break
            chunks.append((name, chunk))
            if len(chunk) < _CHUNK // 2:
                break
        return chunks

    def _drain(self) -> list[tuple[str, bytes]]:
        """Kill the group and read the pipes; bounded, as other processes may go on writing."""
        if not self._streams:
            return []
        self._children.send(self._child, signal.SIGKILL)
        return [item for descriptor in list(self._streams) for item in self._read(descriptor)]

    def _end_leftovers(self) -> None:
        """Record the processes left in the child's session, and kill those in other groups, too."""
        self.left_behind = members_of_group(self._child.pid)
        for pid, _ in self.left_behind:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)

    def _ask_to_end(self) -> None:
        self.timed_out = True
        self._children.send(self._child, self._spec.ending_signal)
        self._deadline = time.monotonic() + self._spec.grace
        self._on_deadline = self._make_end

    def _make_end(self) -> None:
        self._children.send(self._child, signal.SIGKILL)
        self._deadline = None

    def _stop_listening(self) -> None:
        is_ending = self.timed_out or self._child.kill_at is not None
        self._deadline = None if is_ending else self._tail.go_on(self._child.last_output)
        self.finished = self._deadline is None


def _enlarge_pipe(descriptor: int) -> None:
    """Enlarge a pipe, so that the child can go on while this thread waits for the slot."""
    import fcntl

    os.set_blocking(descriptor, False)
    if hasattr(fcntl, "F_SETPIPE_SZ"):
        # Refused once a user's pipes are too large together; the usual size works as well.
        with contextlib.suppress(OSError):
            fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, _PIPE_SIZE)


def _start(spec: ProcessSpec) -> "subprocess.Popen[bytes]":
    import subprocess

    interactive = spec.interactive
    try:
        with _start_lock:
            # A new session, not only a new group: in a background group of envy's session, a
            # program that asks for a password on /dev/tty would be stopped and hang forever.
            return subprocess.Popen(
                list(spec.argv),
                cwd=spec.cwd,
                env={**spec.environment, **spec.children.marks},
                stdin=None if interactive else subprocess.DEVNULL,
                stdout=None if interactive else subprocess.PIPE,
                stderr=_stderr_of(spec),
                bufsize=0,
                start_new_session=not interactive,
                pass_fds=(*spec.descriptors, *(spec.event_pipe or ())[1:]),
            )
    except (OSError, ValueError, IndexError) as error:
        raise _start_error(error, spec) from error
    finally:
        if spec.event_pipe is not None:
            os.close(spec.event_pipe[1])


def _stderr_of(spec: ProcessSpec) -> int | None:
    import subprocess

    if spec.interactive:
        return None
    return subprocess.STDOUT if spec.merged else subprocess.PIPE


def _start_error(error: Exception, spec: ProcessSpec) -> ScriptFailed:
    from envy.host.start_errors import explain_start

    return explain_start(error, argv=spec.argv, cwd=spec.cwd, command=spec.command)


def _reap(process: "subprocess.Popen[bytes]", spec: ProcessSpec) -> int:
    """Reap a child and return its exit status, which is also set on the Popen."""
    try:
        _, status = os.waitpid(process.pid, 0)
    except ChildProcessError as error:
        process.returncode = 0
        raise ScriptFailed(
            command=spec.command,
            exit_code=126,
            reason="ended, but the system discarded its exit code",
            hint="the program that started envy ignores SIGCHLD, and must not",
        ) from error
    process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode


def _clear_up(process: "subprocess.Popen[bytes]", child: Child, children: Children) -> None:
    """Close the pipes; after an exception, also kill and reap the child."""
    for pipe in (process.stdout, process.stderr):
        if pipe is not None:  # a process that still writes gets a broken pipe
            pipe.close()
    if process.returncode is not None:
        return
    children.send(child, signal.SIGKILL)
    with released(), contextlib.suppress(ChildProcessError):
        children.remove(child)
        _, status = os.waitpid(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)


def _completed(status: int, captured: Captured, watch: "_Watch") -> Completed:
    return Completed(
        exit_code=status if status >= 0 else 128 - status,
        signal=-status if status < 0 else None,
        stdout=captured.of("stdout"),
        stderr=captured.of("stderr"),
        timed_out=watch.timed_out,
        left_behind=watch.left_behind,
    )
