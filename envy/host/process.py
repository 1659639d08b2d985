"""Running one program: starting it, reading what it writes, noticing its end, clearing up after it.

Guarantees
  A child has no input, no terminal, and a session and group of its own, unless it is interactive:
  then it has all of envy's terminal and stays in envy's group. It has no descriptor of envy's but
  those that it is said to inherit.
  When `run_argv` returns, the child is reaped and every other member of its group was killed. A
  descendant that left the group and holds the pipes is not waited for.
  Whatever is raised in between (by `on_output` for instance), the same holds.
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
from typing import TYPE_CHECKING

from envy.errors import Cancelled, ScriptFailed
from envy.host.children import GRACE, Child, Children
from envy.host.process_table import members_of_group
from envy.host.start_errors import explain_start
from envy.interpreter import released

if TYPE_CHECKING:
    import subprocess

OnOutput = Callable[[str, bytes], None]  # the stream, `stdout` or `stderr`, and some bytes of it

# How long those whom a child leaves behind may still write to its pipes: `cmd > >(tee log)` ends
# before tee does. Only somebody who holds a pipe open costs this time.
_TAIL_GRACE = 0.2
_CHUNK = 1 << 16
_CHUNKS_AT_ONCE = 16
_PIPE_SIZE = 1 << 20

# Between fork and exec a child holds copies of the files that other threads are writing; whoever
# executes such a file just then is told "text file busy". One start at a time leaves no such child.
_start_lock = threading.Lock()


@dataclass(frozen=True, slots=True, kw_only=True)
class Completed:
    """How a child ended. The exit code of one that a signal ended is 128 and the signal."""

    exit_code: int
    signal: int | None = None
    stdout: bytes = b""  # both only if they were to be captured
    stderr: bytes = b""
    duration: float = 0.0
    timed_out: bool = False
    left_behind: tuple[tuple[int, str], ...] = ()  # alive in its group, if asked


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessSpec:
    """What is to be run, and how."""

    argv: Sequence[str]
    command: str  # for people
    cwd: Path
    environment: Mapping[str, str]
    children: Children
    label: str = ""
    on_output: OnOutput | None = None
    capture: bool = False
    timeout: float | None = None
    interactive: bool = False
    merged: bool = False  # stderr goes where stdout goes, in the order written
    moving_deadline: Callable[[], float | None] | None = None  # asked anew before every wait
    ending_signal: signal.Signals = signal.SIGTERM  # asks it to end when its time is over
    looks_for_leftovers: bool = False
    descriptors: Sequence[int] = ()  # that it inherits, by these numbers


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
    """Run a program to its end, found on the PATH of `environment`; any exit code is an answer.

    `shown` is what reports and messages show of the command, where it may not be shown as it is.
    After `timeout` seconds its group is asked to end, then killed, and `timed_out` says so.

    Raises:
        ScriptFailed: it could not be started.
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
    """Run what was described; see `run_argv`."""
    children = spec.children
    children.ensure_open()
    process = _start(spec)
    child = Child(
        process.pid,
        label=spec.label,
        command=spec.command,
        has_group=not spec.interactive,
    )
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
    completed = _completed(status, captured, child, watch)
    if child.kill_at is not None and completed.exit_code:
        raise Cancelled(f"ended, because the run is ending: {spec.command}")
    return completed


def _relay(watch: "_Watch", spec: ProcessSpec) -> dict[str, list[bytes]]:
    """Hand on what the child writes until it has ended, and keep it if it is to be captured."""
    captured: dict[str, list[bytes]] = {"stdout": [], "stderr": []}
    while not watch.finished:
        with released():
            chunks = watch.wait()
        for stream, chunk in chunks:
            if spec.capture:
                captured[stream].append(chunk)
            if spec.on_output is not None:
                spec.on_output(stream, chunk)
    return captured


def _watch(spec: ProcessSpec, process: "subprocess.Popen[bytes]", child: Child) -> "_Watch":
    try:
        return _Watch(spec, process, child)
    except OSError as error:  # too many open files, most likely
        raise _start_error(error, spec) from error


class _Watch:
    """The wait for one child: its pipes, its end, and the moments at which patience ends."""

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
        "finished",
        "left_behind",
        "timed_out",
    )

    def __init__(self, spec: ProcessSpec, process: "subprocess.Popen[bytes]", child: Child) -> None:
        self._child = child
        self._spec = spec
        self._children = spec.children
        self._exited = False
        self.finished = False
        self.timed_out = False
        self.left_behind: tuple[tuple[int, str], ...] = ()
        timeout = spec.timeout
        self._deadline = None if timeout is None else child.started + timeout
        self._on_deadline = self._ask_to_end
        self._streams: dict[int, str] = {}
        self._poller = select.poll()
        self._exit = spec.children.watch_exit(child.pid)
        self._poller.register(self._exit, select.POLLIN)
        for name, pipe in (("stdout", process.stdout), ("stderr", process.stderr)):
            if pipe is not None:
                self._streams[pipe.fileno()] = name
                _enlarge_pipe(pipe.fileno())
                self._poller.register(pipe.fileno(), select.POLLIN)

    def wait(self) -> list[tuple[str, bytes]]:
        """Block until there is something to hand on or the child is finished, and take it."""
        chunks: list[tuple[str, bytes]] = []
        while not chunks and not self.finished:
            for descriptor, _ in self._poller.poll(self._patience()):
                if descriptor == self._exit:
                    self._note_exit()
                else:
                    chunks += self._read(descriptor)
            if self._deadline is not None and time.monotonic() >= self._deadline:
                self._on_deadline()
            if self._exited and not self._streams:
                self.finished = True
            if self.finished:
                if self._spec.looks_for_leftovers:
                    self._end_leftovers()
                chunks += self._drain()
        if chunks:
            self._child.last_output = time.monotonic()
        return chunks

    def close(self) -> None:
        """Let the descriptor of the exit go; a child that an exception left is ended first."""
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
        # A group that was asked to end keeps the time that it was given for that.
        if not self.timed_out or self._deadline is None:
            self._deadline = self._child.kill_at or time.monotonic() + _TAIL_GRACE

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
        """What lies in the pipes, now that the group is dead; bounded, for others may write on."""
        if not self._streams:
            return []
        self._children.send(self._child, signal.SIGKILL)
        return [item for descriptor in list(self._streams) for item in self._read(descriptor)]

    def _end_leftovers(self) -> None:
        """Note who is left of the child's session, and end also who made a group of its own."""
        self.left_behind = members_of_group(self._child.pid)
        for pid, _ in self.left_behind:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)

    def _ask_to_end(self) -> None:
        self.timed_out = True
        self._children.send(self._child, self._spec.ending_signal)
        self._deadline = time.monotonic() + GRACE
        self._on_deadline = self._make_end

    def _make_end(self) -> None:
        self._children.send(self._child, signal.SIGKILL)
        self._deadline = None

    def _stop_listening(self) -> None:
        self.finished = True


def _enlarge_pipe(descriptor: int) -> None:
    """Give a pipe room, so that the child can go on while this thread waits for the slot."""
    import fcntl

    os.set_blocking(descriptor, False)
    if hasattr(fcntl, "F_SETPIPE_SZ"):
        # Refused once a user's pipes hold too much; the usual size does as well.
        with contextlib.suppress(OSError):
            fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, _PIPE_SIZE)


def _start(spec: ProcessSpec) -> "subprocess.Popen[bytes]":
    import subprocess

    interactive = spec.interactive
    try:
        with _start_lock:
            # A session of its own, and not a group alone: in a background group of envy's session
            # a program that asks for a password on /dev/tty would be stopped, and hang for ever.
            return subprocess.Popen(
                list(spec.argv),
                cwd=spec.cwd,
                env=dict(spec.environment),
                stdin=None if interactive else subprocess.DEVNULL,
                stdout=None if interactive else subprocess.PIPE,
                stderr=_stderr_of(spec),
                bufsize=0,
                start_new_session=not interactive,
                pass_fds=spec.descriptors,
            )
    except (OSError, ValueError, IndexError) as error:
        raise _start_error(error, spec) from error


def _stderr_of(spec: ProcessSpec) -> int | None:
    import subprocess

    if spec.interactive:
        return None
    return subprocess.STDOUT if spec.merged else subprocess.PIPE


def _start_error(error: Exception, spec: ProcessSpec) -> ScriptFailed:
    return explain_start(error, argv=spec.argv, cwd=spec.cwd, command=spec.command)


def _reap(process: "subprocess.Popen[bytes]", spec: ProcessSpec) -> int:
    """Take a child's exit status, and tell it to its Popen, which then has nothing left to do."""
    try:
        _, status = os.waitpid(process.pid, 0)
    except ChildProcessError as error:
        process.returncode = 0
        raise ScriptFailed(
            command=spec.command,
            exit_code=126,
            reason="ended, but the system had thrown its exit code away",
            hint="envy was started by something that ignores SIGCHLD; it must not",
        ) from error
    process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode


def _clear_up(process: "subprocess.Popen[bytes]", child: Child, children: Children) -> None:
    """Close the pipes; after an exception, also end and reap the child."""
    for pipe in (process.stdout, process.stderr):
        if pipe is not None:  # somebody left behind who still writes gets a broken pipe
            pipe.close()
    if process.returncode is not None:
        return
    children.send(child, signal.SIGKILL)
    with released(), contextlib.suppress(ChildProcessError):
        children.remove(child)
        _, status = os.waitpid(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)


def _completed(
    status: int, captured: dict[str, list[bytes]], child: Child, watch: "_Watch"
) -> Completed:
    return Completed(
        exit_code=status if status >= 0 else 128 - status,
        signal=-status if status < 0 else None,
        stdout=b"".join(captured["stdout"]),
        stderr=b"".join(captured["stderr"]),
        duration=time.monotonic() - child.started,
        timed_out=watch.timed_out,
        left_behind=watch.left_behind,
    )
