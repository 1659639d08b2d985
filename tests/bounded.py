"""Running a piece of work in a child process with little memory and little processor time."""

import os
import pickle
import resource
import signal
import sys
import traceback
from pathlib import Path

from envy.errors import EnvyError, InternalError

MEMORY = 500 << 20
SECONDS = 10


def outcome_of(work, *arguments, memory=MEMORY, seconds=SECONDS):
    """Run `work` in a child; return ("value" or "error" or "bug", its result or message).

    An EnvyError is an error; any other exception, too much memory or too much time is a bug.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.close(reading)
            _limit(memory, seconds)
            with os.fdopen(writing, "wb") as answer:
                answer.write(pickle.dumps(_run(work, arguments)))
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as answer:
        data = answer.read()
    _, status, usage = os.wait4(child, 0)
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        late = f", after {usage.ru_utime + usage.ru_stime:.1f} s of processor time"
        return "bug", f"ended by {signal.Signals(number).name}{late}"
    return pickle.loads(data) if data else ("bug", "ended without an answer")


def _run(work, arguments):
    try:
        return "value", work(*arguments)
    except InternalError as error:
        return "bug", str(error)
    except EnvyError as error:
        return "error", str(error)
    except BaseException:  # noqa: BLE001  each is a bug
        return "bug", traceback.format_exc(limit=-12)


def _limit(memory, seconds):
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
        most = pages * os.sysconf("SC_PAGE_SIZE") + memory
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
