"""Ending a command that has no session, and that keeps files in a folder for a moment."""

from __future__ import annotations

import signal


def unwind_at_signals() -> None:
    """Let a signal that ends this process first leave every block, which removes such folders."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, signal.default_int_handler)
