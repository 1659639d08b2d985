"""Styled text: pieces of a line, and the escape sequences that colour them.

Pure: who draws a line decides whether it has colours.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from envy.console.text import cell_width, clip

# The Select Graphic Rendition code of each style; colours are those of the user's own palette.
_CODES = {
    "name": "1",
    "phase": "36",
    "time": "34",
    "bar": "32",
    "faint": "2",
    "success": "32",
    "warning": "33",
    "failure": "31",
}
STYLES = tuple(_CODES)
_PREFIX_STYLES = {"error:": "failure", "warning:": "warning"}


@dataclass(frozen=True, slots=True)
class StyledText:
    """A piece of a line; `style` is "", or a word of `STYLES`."""

    text: str
    style: str = ""


Line = tuple[StyledText, ...]


def line_text(line: Line) -> str:
    """Return the text of a line without its styles."""
    return "".join(span.text for span in line)


def painted(line: Line, *, colours: bool) -> str:
    """Return a line for a stream: with escape sequences if it is shown in colours."""
    if not colours:
        return line_text(line)
    return "".join(
        f"\x1b[{_CODES[span.style]}m{span.text}\x1b[0m" if span.style else span.text
        for span in line
        if span.text
    )


def clip_line(line: Line, width: int) -> Line:
    """Return a line cut to `width` cells, with an ellipsis in the last one if it was cut."""
    spans: list[StyledText] = []
    left = width
    for span in line:
        text = clip(span.text, left)
        if text:
            spans.append(StyledText(text, span.style))
        if text != span.text:
            break
        left -= cell_width(text)
    return tuple(spans)


def joined(parts: Sequence[StyledText], separator: StyledText) -> Line:
    """Return the parts as one line, with a separator between two of them."""
    spans: list[StyledText] = []
    for part in parts:
        spans += [separator, part] if spans else [part]
    return tuple(spans)


def prefixed_line(text: str) -> Line:
    """Return a line whose first word, such as `error:`, says how bad it is, in its colour."""
    prefix, _, rest = text.partition(" ")
    style = _PREFIX_STYLES.get(prefix, "")
    if style == "failure":
        return (StyledText(text, style),)
    return (StyledText(prefix, style), StyledText(f" {rest}")) if style else (StyledText(text),)
