"""Whether the terminal is still there that the view is drawn on.

A window that is closed sends SIGHUP, but only to the session that the terminal controls, and an
`ssh` that breaks may send nothing; what is left then is a descriptor at which nobody is.
"""

import os
import select
import sys
from collections.abc import Callable


def watch_terminal() -> Callable[[], bool]:
    """What tells, without waiting, whether the terminal of standard input has hung up."""
    stdin = sys.__stdin__
    if stdin is None or not hasattr(select, "poll"):
        return lambda: False
    try:
        descriptor = stdin.fileno()
    except (OSError, ValueError):
        return lambda: False
    if not os.isatty(descriptor):
        return lambda: False
    gone = select.POLLHUP | select.POLLERR | select.POLLNVAL
    poller = select.poll()
    poller.register(descriptor, 0)  # these three are told always
    return lambda: any(events & gone for _, events in poller.poll(0))
