"""Runs of the `envy` command in processes that are forked from one that has loaded envy.

Most of the time of a short command is the start of Python and the loading of modules, and the tests
start thousands of them. Each worker of the tests therefore has one process that has loaded every
module, and that forks for each run. The fork does what the console script does: it runs `main`,
with the directory, variables, streams and arguments of a new process. The first run of each command
in a worker starts Python all the same (see Project.envy).

Run as a program, this is the process that forks. Test workers send it (connection, stdin, stdout,
stderr), and on the connection {argv, cwd, environment}; it answers the number of the fork, and when
that has ended, its exit code.
"""

import atexit
import contextlib
import functools
import gc
import importlib
import json
import os
import pkgutil
import select
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
from pathlib import Path

# What Python, or a library on loading, reads before envy runs.
READ_AT_START = ("PYTHON", "LC_", "LANG", "LD_", "DYLD_", "TZ", "MALLOC_")
NOT_LOADED = (
    "__main__",
    "testing",
    "tui",
)  # few commands load these, and their libraries are large


def can_fork_runs(extra):
    """Whether a run with these variables, besides the tester's, would be the same in a fork."""
    return (
        hasattr(os, "pidfd_open")
        and sys.getfilesystemencoding() == "utf-8"
        and not any(name.startswith(READ_AT_START) for name in extra)
    )


class ForkedRun:
    """A run of envy, with the methods of Popen that Project uses."""

    def __init__(self, argv, *, cwd, environment):
        self._connection, theirs = socket.socketpair()
        (out, its_out), (err, its_err) = os.pipe(), os.pipe()
        nothing = os.open(os.devnull, os.O_RDWR)
        with theirs:
            given = [theirs.fileno(), nothing, its_out, its_err]
            socket.send_fds(control(), [b"run"], given)
        for descriptor in (nothing, its_out, its_err):
            os.close(descriptor)
        variables = {name: os.fspath(value) for name, value in environment.items()}
        request = {"argv": argv, "cwd": str(cwd), "environment": variables}
        self._answers = self._connection.makefile("r")
        self._connection.sendall(json.dumps(request).encode() + b"\n")
        self.pid = int(self._answers.readline())
        self.returncode = None
        self._read = {out: [], err: []}
        self._waiting = select.poll()
        for stream in self._read:
            self._waiting.register(stream, select.POLLIN)
        self._open = len(self._read)

    def communicate(self, timeout):
        """Return what the run wrote, once it and all who have its streams have ended."""
        ends = time.monotonic() + timeout
        while self._open:
            for stream in self._ready(ends):
                piece = os.read(stream, 1 << 16)
                self._read[stream].append(piece)
                if not piece:
                    self._waiting.unregister(stream)
                    os.close(stream)
                    self._open -= 1
        self._waiting.register(self._connection, select.POLLIN)
        self._ready(ends)
        self.returncode = int(self._answers.readline())
        self._answers.close()
        self._connection.close()
        return tuple(b"".join(pieces) for pieces in self._read.values())

    def _ready(self, ends):
        """Return the descriptors that have something to read before some moment."""
        ready = self._waiting.poll(max(0, ends - time.monotonic()) * 1000)
        if not ready:
            raise subprocess.TimeoutExpired("envy", 0)
        return [descriptor for descriptor, _ in ready]

    def terminate(self):
        """Send SIGTERM, unless the run has ended."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGTERM)


STARTING = threading.Lock()


def control():
    """Return the socket to the process that forks, which ends with this one."""
    with STARTING:
        return _start()


@functools.cache
def _start():
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        process = subprocess.Popen(
            [sys.executable, __file__, str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
        )

    def end():
        ours.close()
        process.wait()

    atexit.register(end)
    return ours


def load():
    """Load all modules of envy that commands load, and keep the collector away from them."""
    import envy

    for module in pkgutil.walk_packages(envy.__path__, "envy."):
        rooms = module.name.split(".")
        if not {*NOT_LOADED} & {*rooms}:
            importlib.import_module(module.name)
    importlib.import_module("envy.__main__")
    gc.collect()
    gc.freeze()


def serve(requests):
    """Fork for each request until there are no more; return what was sent, in a fork."""
    running = {}  # by descriptor of the process
    waiting = select.poll()
    waiting.register(requests, select.POLLIN)
    while True:
        for ready, _ in waiting.poll():
            if ready in running:
                waiting.unregister(ready)
                child, connection = running.pop(ready)
                os.close(ready)
                status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
                with contextlib.suppress(OSError), connection:
                    connection.sendall(b"%d\n" % status)
                continue
            message, given, _, _ = socket.recv_fds(requests, 16, 4)
            if not message:
                return None
            connection, streams = socket.socket(fileno=given[0]), given[1:]
            child = os.fork()
            if not child:
                for descriptor in running:
                    os.close(descriptor)
                for _, other in running.values():
                    other.close()
                return connection, streams
            for stream in streams:
                os.close(stream)
            connection.sendall(b"%d\n" % child)
            process = os.pidfd_open(child)
            running[process] = child, connection
            waiting.register(process, select.POLLIN)


def become(connection, streams):
    """Take over what the request says: streams, directory, variables and arguments."""
    with connection, connection.makefile("rb") as lines:
        request = json.loads(lines.readline())
    for target, stream in enumerate(streams):
        os.dup2(stream, target)
        os.close(stream)
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["environment"])
    sys.argv[:] = request["argv"]


def run(connection, streams):
    """Be the console script of envy; return the exit code.

    Python would now free each object, and so copy each page of memory that the processes share.
    """
    become(connection, streams)
    sys.path.remove(str(Path(__file__).parent))
    from envy.__main__ import main as envy_main

    code = 1
    try:
        envy_main()
    except SystemExit as ended:
        code = ended.code or 0
    except BaseException:  # noqa: BLE001  Python would do the same
        traceback.print_exc()
    threading._shutdown()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):
            stream.flush()
    return code


def main():
    with socket.socket(fileno=int(sys.argv[1])) as requests:
        load()
        request = serve(requests)
    if request:
        os._exit(run(*request))


if __name__ == "__main__":
    main()
