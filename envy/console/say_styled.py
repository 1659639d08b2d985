"""Lines about a run that has ended, in the colours and the width of the stream they go to."""

from collections.abc import Iterable, Mapping
from typing import TextIO

from envy.console.colours import has_colours
from envy.console.styled import painted, prefixed_line
from envy.console.text import say, wrapped


def say_styled(stream: TextIO, lines: Iterable[str], environment: Mapping[str, str]) -> None:
    """Write safe lines; a terminal gets them broken between words, and errors in red."""
    colours = has_colours(stream, environment)
    width = 0
    if stream.isatty():
        from envy.console.screen import terminal_size

        width = terminal_size(stream)[0]
    for line in lines:
        first, *others = wrapped(line, width) if width else [line]
        say(stream, painted(prefixed_line(first), colours=colours))
        for other in others:
            say(stream, other)
