"""Formatting of text, sizes and durations for a terminal."""

import io
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envy.console.text import (
    cell_width,
    clip,
    clip_words,
    escape_controls,
    format_clock,
    format_part,
    format_seconds,
    format_size,
    last_rewrite,
    pad,
    safe_line,
    safe_lines,
    wrapped,
    write_line,
)

ANY_TEXT = st.text(st.characters(exclude_categories=()))


@given(ANY_TEXT)
def test_a_safe_line_holds_no_control_character(text):
    """No control character and no lone surrogate is left in a safe line."""
    assert not [c for c in safe_line(text) if unicodedata.category(c) in ("Cc", "Cs")]


@given(ANY_TEXT)
def test_no_safe_line_of_a_text_holds_a_control_character(text):
    """Splitting a text into lines leaves no control character in any of them."""
    joined = "".join(safe_lines(text))
    assert not [c for c in joined if unicodedata.category(c) in ("Cc", "Cs")]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"),
        ("a\x9b2Jb", "a\\x9b2Jb"),
        ("raw \udcff byte", "raw \\xff byte"),
        ("lone \ud800", "lone \\ud800"),
        ("abc\u202etxt", "abc\\u202etxt"),
        ("plain", "plain"),
        ("naïve — ok", "naïve — ok"),
        ("two\nlines\tkept", "two\nlines\tkept"),
    ],
)
def test_unsafe_characters_are_spelled_out(text, expected):
    """An escape sequence is shown as text, and harmless text stays unchanged."""
    assert expected == escape_controls(text)


def test_a_carriage_return_before_a_newline_is_dropped():
    """A line with a Windows line ending shows no escaped carriage return."""
    assert safe_lines("a\r\nb\r\n") == ["a", "b", ""]


def test_a_rewritten_line_shows_its_last_state():
    """Of a progress line that rewrites itself, only the last state is shown."""
    assert last_rewrite("10%\r20%\r30%\r") == "30%"


def test_a_stream_gets_what_it_can_encode():
    """A character outside the stream's encoding is spelled out and raises nothing."""
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    write_line(stream, "a → b")
    assert raw.getvalue() == b"a \\u2192 b\n"


@pytest.mark.parametrize(
    ("count", "expected"),
    [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (3 << 20, "3.0 MiB"), (5 << 40, "5.0 TiB")],
)
def test_sizes_are_shown_in_binary_units(count, expected):
    """A size is shown in the largest unit in which it is at least one."""
    assert expected == format_size(count)


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(-1, "0.0s"), (12.44, "12.4s"), (59.96, "1m 00s"), (125, "2m 05s"), (3720, "1h 02m")],
)
def test_durations_are_shown_at_the_precision_that_matters(seconds, expected):
    """Short durations show tenths, long ones minutes and hours."""
    assert expected == format_seconds(seconds)


@pytest.mark.parametrize(
    ("seconds", "expected"), [(-1, "0:00"), (7.9, "0:07"), (750, "12:30"), (3723, "1:02:03")]
)
def test_a_running_clock_shows_whole_seconds(seconds, expected):
    """A clock that runs shows whole seconds only."""
    assert expected == format_clock(seconds)


@given(st.text(st.characters(exclude_categories=("C",))), st.integers(0, 40))
def test_clipped_text_fits(text, width):
    """Clipped text takes at most the given number of cells."""
    assert cell_width(clip(text, width)) <= width


@given(st.text(st.characters(exclude_categories=("C", "M"))), st.integers(1, 40))
def test_padded_text_fills_its_cells_exactly(text, width):
    """Padded text takes exactly the given cells; a wide character counts as two."""
    assert width == cell_width(pad(text, width))


def test_clipped_text_ends_in_an_ellipsis():
    """An ellipsis marks that text is missing."""
    assert clip("abcdef", 4) == "abc…"


@pytest.mark.parametrize(
    ("done", "total", "expected"),
    [
        (47710208, 235929600, "45.5 of 225 MiB"),
        (0, 2048, "0.0 of 2.0 KiB"),
        (512, 900, "512 of 900 B"),
        (235929600, 235929600, "225 of 225 MiB"),
        (1 << 20, 1 << 40, "0.0 of 1.0 TiB"),
    ],
)
def test_a_part_is_shown_in_the_unit_of_the_whole(done, total, expected):
    """A part and its whole have one unit, and three digits where they fit."""
    assert format_part(done, total) == expected


def test_a_short_size_has_no_more_digits_than_a_rate_needs():
    """Ten and more of a unit are shown without a fraction."""
    assert (format_size(12.4 * (1 << 20), short=True), format_size(1536, short=True)) == (
        "12 MiB",
        "1.5 KiB",
    )


@given(st.text("ab 宽", max_size=60), st.integers(1, 40))
def test_wrapped_lines_keep_all_words_whole(text, width):
    """A line is broken only between words; what does not fit is one word that is too long."""
    lines = wrapped(text, width)
    assert " ".join(lines).split() == text.split()
    for line in lines:
        assert cell_width(line) <= width or len(line.split()) == 1


def test_further_lines_are_indented():
    """The lines after the first are indented by two more than the first."""
    assert wrapped("  log: one two", 10) == ["  log: one", "    two"]


@given(st.text("ab 宽", max_size=60), st.integers(0, 40))
def test_text_clipped_at_a_word_fits(text, width):
    """Text that is cut between words is never wider than asked."""
    assert cell_width(clip_words(text, width)) <= width


def test_text_is_cut_between_words_unless_one_is_long():
    """A long path is cut inside rather than left out."""
    assert clip_words("one two three", 10) == "one two…"
    assert clip_words("/a/very/long/path", 10) == "/a/very/l…"
