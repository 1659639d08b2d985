"""Colours of text from outside: kept where they are colours, and nothing else of it."""

import pytest

from envy import masking
from envy.console.renditions import (
    PLAIN_RENDITION,
    Rendition,
    lines_without_colours,
    painted_spans,
    rendered_spans,
    without_colours,
)

RED = Rendition(foreground=1)


@pytest.mark.parametrize(
    ("line", "spans"),
    [
        ("plain", [("plain", PLAIN_RENDITION)]),
        ("", [("", PLAIN_RENDITION)]),
        ("a\x1b[31mb\x1b[0mc", [("a", PLAIN_RENDITION), ("b", RED), ("c", PLAIN_RENDITION)]),
        ("\x1b[31mb\x1b[mc", [("b", RED), ("c", PLAIN_RENDITION)]),
        ("\x1b[1;31;4mx", [("x", Rendition(foreground=1, bold=True, underline=True))]),
        ("\x1b[91;102mx", [("x", Rendition(foreground=9, background=10))]),
        ("\x1b[38;5;200mx", [("x", Rendition(foreground=200))]),
        ("\x1b[38;2;1;2;3mx", [("x", Rendition(foreground=(1, 2, 3)))]),
        ("\x1b[48:5:7mx", [("x", Rendition(background=7))]),
        ("\x1b[31mx\x1b[39my", [("x", RED), ("y", PLAIN_RENDITION)]),
        ("\x1b[38;5;999mx", [("x", PLAIN_RENDITION)]),
        ("\x1b[38mx", [("x", PLAIN_RENDITION)]),
        ("\x1b[38;2;1mx", [("x", PLAIN_RENDITION)]),
        ("\x1b[8mconcealed", [("concealed", PLAIN_RENDITION)]),
        ("\x1b[99999999mx", [("x", PLAIN_RENDITION)]),
        ("\x1b[2Jx\x07\x9b", [("\\x1b[2Jx\\x07\\x9b", PLAIN_RENDITION)]),
        ("\x1b[31\x1b[0m", [("\\x1b[31", PLAIN_RENDITION)]),
        ("ab\t\x1b[31mc\td\r", [("ab  ", PLAIN_RENDITION), ("c   d", RED)]),
    ],
    ids=repr,
)
def test_only_colours_are_understood(line, spans):
    """Select Graphic Rendition is taken apart; every other control character is spelled out."""
    assert rendered_spans(line) == spans


def test_a_line_can_be_written_in_colours_again():
    """The sequences written are envy's own, and each ends its colours."""
    line = "a\x1b[1;91;48;2;1;2;3mb\x1b[31mc\x1b[2K"
    assert painted_spans(rendered_spans(line)) == (
        "a\x1b[1;38;5;9;48;2;1;2;3mb\x1b[0m\x1b[1;31;48;2;1;2;3mc\\x1b[2K\x1b[0m"
    )
    assert without_colours(line) == "abc\\x1b[2K"


def test_a_secret_that_colours_divide_is_masked():
    """What is a secret without its colours does not appear."""
    masking.remember(["hunter2hunter2"])
    try:
        assert without_colours("x hunter2\x1b[31mhunter2 y") == "x *** y"
        assert lines_without_colours(["a", "x hunter2\x1b[31mhunter2 y"]) == ["a", "x *** y"]
    finally:
        masking.forget_all()


def test_many_lines_at_once_are_as_one_by_one():
    """Whatever the lines contain."""
    lines = ["", "plain", "\x1b[31mred\x1b[m", "ü\x1b[1m\t\x1b[2K", "\r", "\x1b[", "31mx", "a\r"]
    for some in (lines, [], [""], ["\n"], ["a\nb", "c"]):
        assert lines_without_colours(some) == [without_colours(line) for line in some]
