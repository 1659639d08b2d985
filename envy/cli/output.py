"""The result of a command on standard output."""

from __future__ import annotations

import os
import sys

from envy.console.text import write_data
from envy.masking import masked


def print_result(text: str) -> None:
    """Write lines for people; it is not an error if the reader has closed the pipe (`| head`)."""
    print_data(masked(text))


def print_data(text: str) -> None:
    """Write a document for programs, whose data is masked already, in the same way."""
    try:
        write_data(sys.stdout, text.removesuffix("\n"))
    except BrokenPipeError:
        # Flushing the rest of the buffer would fail again when the process ends.
        with open(os.devnull, "w", encoding="utf-8") as nowhere:  # noqa: PTH123
            os.dup2(nowhere.fileno(), sys.stdout.fileno())
