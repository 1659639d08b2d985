"""Detecting that the terminal of the view was closed.

A closed window sends SIGHUP, but only to the session that the terminal controls, and a broken `ssh`
connection may send nothing; the process then keeps a descriptor with no terminal behind it.
"""

import os
import select
import sys
from collections.abc import Callable


def watch_terminal() -> Callable[[], bool]:
    """Return a function that tells, without blocking, whether standard input's terminal hung up."""
    stdin = sys.__stdin__
    if stdin is None or not hasattr(select, "poll"):
        return lambda: False
    try:
        descriptor = stdin.fileno()
    except (OSError, ValueError):
        return lambda: False
    if not os.isatty(descriptor):
        return lambda: False
    closed = select.POLLHUP | select.POLLERR | select.POLLNVAL
    poller = select.poll()
    poller.register(descriptor, 0)  # poll always reports these three
    return lambda: any(events & closed for _, events in poller.poll(0))
