"""Asking programs of the machine for a warm command: all at once, with few imports.

A full run starts programs with `host.process`, whose imports take longer than most of them.
"""

from __future__ import annotations

import os
import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_LIMIT = 1 << 20  # bytes of output; a full run reads more


def outputs_of(
    commands: Sequence[Sequence[str]], environment: Mapping[str, str], folder: str
) -> list[bytes | None]:
    """Start every command in `folder`, wait for all, and return what each printed.

    The first word of a command is the absolute path of its program. None: it could not be started,
    failed, or printed too much. A command has no input. It stays in envy's process group, so that
    Ctrl-C, which ends a warm command at once, also ends it.
    """
    found: list[bytes | None] = [None] * len(commands)
    running: list[tuple[int, int, int]] = []  # position, process, and the file of its output
    here = os.open(".", os.O_RDONLY)
    try:
        os.chdir(folder)
        for position, command in enumerate(commands):
            output = _temporary_file()
            running.append((position, 0, output))
            running[-1] = (position, _start(command, environment, output), output)
    except (OSError, ValueError, NotImplementedError):
        pass  # a full run reports what is wrong; contextlib is not loaded here
    finally:
        os.fchdir(here)
        os.close(here)
        for position, child, output in running:
            succeeded = child and os.waitpid(child, 0)[1] == 0
            size = os.fstat(output).st_size
            if succeeded and size <= _LIMIT:
                found[position] = os.pread(output, size, 0)
            os.close(output)
    return found


def _start(command: Sequence[str], environment: Mapping[str, str], output: int) -> int:
    return os.posix_spawn(
        command[0],
        tuple(command),
        environment,
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_DUP2, output, 1),
            (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
        ],
        # Python ignores these, and the command would inherit that.
        setsigdef=[signal.SIGPIPE, signal.SIGXFSZ],
    )


def _temporary_file() -> int:
    """Return a file that needs no reader: a pipe would have to be read while commands run."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("envy")
    import tempfile

    descriptor, name = tempfile.mkstemp(prefix="envy-")
    os.unlink(name)
    return descriptor
