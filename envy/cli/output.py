"""The result of a command on standard output."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable

from envy.console.text import safe_line, write_data
from envy.masking import masked


def print_result(text: str) -> None:
    """Write lines for people; it is not an error if the reader has closed the pipe (`| head`)."""
    print_data(masked(text))


def print_data(text: str) -> None:
    """Write a document for programs, whose data is masked already, in the same way."""
    try:
        write_data(sys.stdout, text.removesuffix("\n"))
    except BrokenPipeError:
        _drop_the_rest()


def print_lines(lines: Iterable[bytes]) -> None:
    """Write lines with names of files, whose bytes may be no text, in the same way.

    On a terminal, what is not text is spelled out.
    """
    try:
        if sys.stdout.isatty():
            write_data(sys.stdout, "\n".join(safe_line(os.fsdecode(line)) for line in lines))
            return
        sys.stdout.flush()
        sys.stdout.buffer.write(b"".join(line + b"\n" for line in lines))
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        _drop_the_rest()


def _drop_the_rest() -> None:
    # Flushing the rest of the buffer would fail again when the process ends.
    with open(os.devnull, "w", encoding="utf-8") as nowhere:  # noqa: PTH123
        os.dup2(nowhere.fileno(), sys.stdout.fileno())
