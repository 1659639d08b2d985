"""Formats text, sizes and durations for a terminal.

Owns the rule that no control character from outside reaches a terminal: the output of a build, an
error or a file name could otherwise move the cursor, change colours or rewrite lines.
"""

import contextlib
import re
import unicodedata
from dataclasses import dataclass
from typing import TextIO

from envy.masking import masked

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")
# C0 and C1, the marks that reorder or break lines for a reader, and halves of surrogate pairs
# (bytes that were not UTF-8, which no stream accepts). Callers decide about tabs and newlines.
_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)


@dataclass(frozen=True, slots=True)
class Streams:
    """The streams for results (`output`) and for messages about the work (`errors`)."""

    output: TextIO
    errors: TextIO


def _escaped(match: re.Match[str]) -> str:
    code = ord(match[0])
    if 0xDC80 <= code <= 0xDCFF:  # a raw byte, kept by surrogateescape
        code -= 0xDC00
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def escape_controls(text: str) -> str:
    """Return the text with unsafe characters spelled out; newlines and tabs stay."""
    return text if text.isascii() and text.isprintable() else _UNSAFE.sub(_escaped, text)


def safe_lines(text: str) -> list[str]:
    """Return the lines of a text, each safe to show as one line of a terminal."""
    # Masked first: a secret with a tab or a control character would not be recognised any more.
    lines = masked(text).split("\n")
    return [escape_controls(line.removesuffix("\r")).expandtabs(4) for line in lines]


def safe_line(text: str) -> str:
    """Return a text as one line that is safe to show."""
    return escape_controls(masked(text)).replace("\n", "\\n").replace("\t", " ")


def last_rewrite(text: str) -> str:
    """Return the final text of a line that rewrites itself with carriage returns."""
    return text.rstrip("\r").rpartition("\r")[2]


def write_line(stream: TextIO, text: str) -> None:
    """Write one line without secrets, and flush it.

    Characters outside the stream's encoding are spelled out.
    """
    _write_line(stream, masked(text))


def write_data(stream: TextIO, text: str) -> None:
    """Write a document whose data is masked already, or a path for programs; and flush it."""
    _write_line(stream, text)


def _write_line(stream: TextIO, text: str) -> None:
    encoding = getattr(stream, "encoding", None) or "utf-8"
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        text = text.encode(encoding, "backslashreplace").decode(encoding)
    stream.write(text + "\n")
    stream.flush()


def say(stream: TextIO, text: str) -> None:
    """Write one line about the work; errors of the stream are ignored."""
    with contextlib.suppress(OSError, ValueError):  # ValueError: it was closed
        write_line(stream, text)


def format_size(count: float, *, short: bool = False) -> str:
    """Format a number of bytes: `512 B`, `1.5 MiB`; `12 MiB` instead of `12.3 MiB` if short."""
    unit, size = _unit_of(count)
    if not unit:
        return f"{count:.0f} B"
    return f"{size:.{0 if short and size >= 10 else 1}f} {_UNITS[unit]}"


def format_part(count: int, total: int) -> str:
    """Format a part of a number of bytes, in the unit of the whole: `45.5 of 225 MiB`."""
    unit, whole = _unit_of(total)
    digits = 0 if not unit or whole >= 100 else 1
    part = count / 1024**unit
    part_digits = 0 if not unit or part >= 100 else 1
    return f"{part:.{part_digits}f} of {whole:.{digits}f} {_UNITS[unit]}"


def _unit_of(count: float) -> tuple[int, float]:
    """Return the index of the largest unit that fits, and the number in that unit."""
    unit, size = 0, float(count)
    while size >= 1024 and unit < len(_UNITS) - 1:
        size /= 1024
        unit += 1
    return unit, size


def format_seconds(seconds: float) -> str:
    """Format a duration: `12.4s`, `2m 05s`, `1h 02m`."""
    seconds = max(0.0, seconds)
    if seconds < 59.95:
        return f"{seconds:.1f}s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60}m {whole % 60:02d}s"
    return f"{whole // 3600}h {whole % 3600 // 60:02d}m"


def format_clock(seconds: float) -> str:
    """Format a running time in whole seconds: `0:07`, `12:30`, `1:02:03`."""
    whole = max(0, int(seconds))
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02d}"
    return f"{whole // 3600}:{whole % 3600 // 60:02d}:{whole % 60:02d}"


def cell_width(text: str) -> int:
    """Return the number of terminal cells that a safe line takes."""
    if text.isascii():
        return len(text)
    return sum(_cells(character) for character in text)


def clip(text: str, width: int) -> str:
    """Return the text cut to `width` cells, with an ellipsis in the last one if it was cut."""
    if cell_width(text) <= width:
        return text
    if width <= 0:
        return ""
    kept, used = [], 0
    for character in text:
        used += _cells(character)
        if used > width - 1:
            break
        kept.append(character)
    return "".join(kept) + "…"


def clip_words(text: str, width: int) -> str:
    """Return the text cut to `width` cells between two words, with an ellipsis if it was cut."""
    if cell_width(text) <= width:
        return text
    kept = clip(text, width).removesuffix("…")
    whole = kept.rpartition(" ")[0].rstrip()
    # A single long word, such as a path, is better cut than left out.
    return (whole if 2 * len(whole) >= len(kept) else kept) + "…" if width > 0 else ""


def wrapped(line: str, width: int) -> list[str]:
    """Return a safe line as lines of at most `width` cells, broken between words only.

    Further lines are indented by two more than the first. A longer word, such as a path, has a line
    of its own, which a terminal breaks but does not change when it is copied.
    """
    if cell_width(line) <= width:
        return [line]
    body = line.lstrip(" ")
    indent = line[: len(line) - len(body)]
    lines, current = [], indent
    for word in body.split(" "):
        if current.strip() and cell_width(current) + cell_width(word) > width:
            lines.append(current.rstrip(" "))
            current = f"{indent}  "
        current += word + " "
    return [*lines, current.rstrip(" ")]


def pad(text: str, width: int) -> str:
    """Return the text clipped or padded to exactly `width` cells."""
    clipped = clip(text, width)
    return clipped + " " * (width - cell_width(clipped))


def _cells(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
