"""A terminal on which a region at the bottom is redrawn, with permanent lines above it.

Owns the escape sequences that move the cursor. `frame` computes what is written; one write shows a
whole frame, so a frame is never seen half drawn.
"""

import os
from collections.abc import Sequence
from typing import Protocol, TextIO

from envy.console.styled import Line, line_text, painted
from envy.console.text import cell_width

_HIDE_CURSOR, _SHOW_CURSOR = "\x1b[?25l", "\x1b[?25h"
_ERASE_REST_OF_LINE, _ERASE_BELOW = "\x1b[K", "\x1b[J"
_FALLBACK = (80, 24)


class Screen(Protocol):
    """A terminal on which a region at the bottom can be redrawn."""

    @property
    def size(self) -> tuple[int, int]:
        """Cells in a line, and lines, now."""

    def show(self, above: Sequence[Line], region: Sequence[Line]) -> None:
        """Print `above` for good, and replace the region under it."""

    def close(self) -> None:
        """Remove the region and restore the terminal."""


class TerminalScreen:
    """A Screen on a terminal that understands ANSI escape sequences."""

    def __init__(self, stream: TextIO, *, colours: bool = True) -> None:
        self._stream = stream
        self._colours = colours
        self._drawn: Sequence[Line] = ()
        self._write(_HIDE_CURSOR)

    @property
    def size(self) -> tuple[int, int]:
        """Cells in a line, and lines, now."""
        return terminal_size(self._stream)

    def show(self, above: Sequence[Line], region: Sequence[Line]) -> None:
        """Print `above` for good, and replace the region under it."""
        width, _ = self.size
        text = frame(self._drawn, above, region, width=width, colours=self._colours)
        self._drawn = region
        self._write(text)

    def close(self) -> None:
        """Remove the region and restore the terminal."""
        self.show((), ())
        self._write(_SHOW_CURSOR)

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()


def frame(
    drawn: Sequence[Line],
    above: Sequence[Line],
    region: Sequence[Line],
    *,
    width: int,
    colours: bool,
) -> str:
    """Return what to write to replace the region `drawn` by permanent lines and a new region.

    The cursor rests at the start of the line below the region. So what the terminal itself echoes
    there, such as the ^C of an interrupt, lies inside what the next frame erases.
    """
    parts = ["\r"]
    # A terminal that became narrower has broken the lines of the region.
    rows = sum(max(1, -(-cell_width(line_text(line)) // max(1, width))) for line in drawn)
    if rows:
        parts.append(f"\x1b[{rows}A")
    for line in (*above, *region):
        parts += [painted(line, colours=colours), _ERASE_REST_OF_LINE, "\n"]
    parts.append(_ERASE_BELOW)
    return "".join(parts)


def terminal_size(stream: TextIO) -> tuple[int, int]:
    """Return the cells in a line and the lines of a terminal; 80 and 24 if they are not known."""
    try:
        columns, rows = os.get_terminal_size(stream.fileno())
    except (OSError, ValueError, AttributeError):
        return _FALLBACK
    return columns or _FALLBACK[0], rows or _FALLBACK[1]
