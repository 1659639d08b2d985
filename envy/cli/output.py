"""The result of a command on standard output."""

from __future__ import annotations

import os
import sys

from envy.console.text import write_line


def print_result(text: str) -> None:
    """Write a result; it is not an error if the reader has closed the pipe (`| head`)."""
    try:
        write_line(sys.stdout, text.removesuffix("\n"))
    except BrokenPipeError:
        # Flushing the rest of the buffer would fail again when the process ends.
        with open(os.devnull, "w", encoding="utf-8") as nowhere:  # noqa: PTH123
            os.dup2(nowhere.fileno(), sys.stdout.fileno())
