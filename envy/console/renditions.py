"""The colours of text from outside: what a line says about its looks, and nothing else of it.

Only Select Graphic Rendition is understood: colours, bold, faint, italic, underline and reverse.
Concealed text stays visible, and every other control character is spelled out, so that a text can
neither move the cursor nor hide a part of itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from envy.console.text import escape_controls
from envy.masking import masked

Colour = int | tuple[int, int, int]  # a number of the palette, or red, green and blue

_SELECT = re.compile(r"\x1b\[([0-9;:]{0,64})m")
_SET = {1: "bold", 2: "faint", 3: "italic", 4: "underline", 7: "reverse"}
_UNSET = {
    22: ("bold", "faint"),
    23: ("italic",),
    24: ("underline",),
    27: ("reverse",),
    39: ("foreground",),
    49: ("background",),
}


@dataclass(frozen=True, slots=True)
class Rendition:
    """How a piece of text looks; None is the terminal's own colour."""

    foreground: Colour | None = None
    background: Colour | None = None
    bold: bool = False
    faint: bool = False
    italic: bool = False
    underline: bool = False
    reverse: bool = False


PLAIN_RENDITION = Rendition()
Span = tuple[str, Rendition]


def rendered_spans(line: str) -> list[Span]:
    """Return a line, whose secrets are masked, as safe pieces of text with their looks."""
    if line.isascii() and line.isprintable():
        return [(line, PLAIN_RENDITION)]
    spans: list[Span] = []
    column = 0
    for text, rendition in _pieces(line.removesuffix("\r")):
        padded = " " * (column % 4) + escape_controls(text)
        safe = padded.expandtabs(4)[column % 4 :]
        column += len(safe)
        if safe:
            spans.append((safe, rendition))
    whole = "".join(text for text, _ in spans)
    if masked(whole) != whole:  # a secret that colours divided
        return [(masked(whole), PLAIN_RENDITION)]
    return spans


def without_colours(line: str) -> str:
    """Return a line as safe text that is not coloured."""
    if "\x1b" in line:
        text = _SELECT.sub("", line)
        if text.isascii() and text.isprintable() and masked(text) == text:
            return text
    return "".join(text for text, _ in rendered_spans(line))


def lines_without_colours(lines: Sequence[str]) -> list[str]:
    """Return what `without_colours` returns for each of many lines, in a fraction of the time."""
    text = _SELECT.sub("", "\n".join(lines))
    found = text.split("\n")
    if len(found) != len(lines) or masked(text) != text:
        return [without_colours(line) for line in lines]
    return [
        plain if plain.isascii() and plain.isprintable() else without_colours(line)
        for plain, line in zip(found, lines, strict=True)
    ]


def painted_spans(spans: list[Span]) -> str:
    """Return the pieces with escape sequences for their looks, ending in those of a terminal."""
    return "".join(
        f"\x1b[{';'.join(_codes(rendition))}m{text}\x1b[0m"
        if rendition != PLAIN_RENDITION
        else text
        for text, rendition in spans
    )


def _pieces(line: str) -> Iterator[Span]:
    rendition, at = PLAIN_RENDITION, 0
    for found in _SELECT.finditer(line):
        yield line[at : found.start()], rendition
        rendition, at = _changed(rendition, found[1]), found.end()
    yield line[at:], rendition


def _changed(rendition: Rendition, parameters: str) -> Rendition:
    """Return a rendition after one sequence; what is unknown in it changes nothing."""
    codes = [int(word[:4] or 0) for word in parameters.replace(":", ";").split(";")]
    while codes:
        code = codes.pop(0)
        if code == 0:
            rendition = PLAIN_RENDITION
        elif code in _SET:
            rendition = replace(rendition, **{_SET[code]: True})
        elif code in _UNSET:
            plain = {name: getattr(PLAIN_RENDITION, name) for name in _UNSET[code]}
            rendition = replace(rendition, **plain)
        elif code in {38, 48}:
            colour = _extended(codes)
            if colour is not None:
                rendition = _coloured(rendition, colour, on=code == 48)
        elif 30 <= code <= 37 or 90 <= code <= 97:
            rendition = _coloured(rendition, code - (30 if code < 40 else 82), on=False)
        elif 40 <= code <= 47 or 100 <= code <= 107:
            rendition = _coloured(rendition, code - (40 if code < 50 else 92), on=True)
    return rendition


def _coloured(rendition: Rendition, colour: Colour, *, on: bool) -> Rendition:
    if on:
        return replace(rendition, background=colour)
    return replace(rendition, foreground=colour)


def _extended(codes: list[int]) -> Colour | None:
    """Take `5;N` or `2;R;G;B` from the codes."""
    kind = codes.pop(0) if codes else 0
    count = {5: 1, 2: 3}.get(kind, 0)
    values = codes[:count]
    del codes[:count]
    if not count or len(values) < count or max(values) > 255:
        return None
    return values[0] if count == 1 else (values[0], values[1], values[2])


def _codes(rendition: Rendition) -> list[str]:
    codes = [str(code) for code, name in _SET.items() if getattr(rendition, name)]
    for base, colour in ((38, rendition.foreground), (48, rendition.background)):
        if isinstance(colour, tuple):
            codes.append(f"{base};2;{colour[0]};{colour[1]};{colour[2]}")
        elif colour is not None and colour < 8:
            codes.append(str(base - 8 + colour))
        elif colour is not None:
            codes.append(f"{base};5;{colour}")
    return codes
