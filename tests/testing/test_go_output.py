"""Converting the output of a test binary to events."""

from hypothesis import given
from hypothesis import strategies as st

from envy.testing.drivers import go_output
from envy.testing.drivers.go_output import OutputConverter


def convert(data, *, size=None, markup=True, **options):
    """Return the events of some bytes, fed in pieces of `size`."""
    events = []
    converter = OutputConverter("p", events.append, has_markup=markup, **options)
    size = size or max(1, len(data))
    for start in range(0, len(data), size):
        converter.feed(data[start : start + size])
    converter.finish()
    return events, converter


def essence(events):
    return [(e.action, e.test, e.output) for e in events]


RUN = (
    b"\x16=== RUN   TestA\nout\n\x16=== RUN   TestA/sub\npart"
    b"\x16--- FAIL: TestA (0.50s)\n    \x16--- PASS: TestA/sub (0.00s)\n\x16FAIL\n"
)


def test_frames_begin_and_end_tests():
    """RUN starts a test; a report ends it, with the time in the report."""
    events, converter = convert(
        b"\x16=== RUN   TestA\nhello\n\x16--- PASS: TestA (0.25s)\n\x16PASS\n"
    )
    assert essence(events) == [
        ("run", "TestA", None),
        ("output", "TestA", "=== RUN   TestA\n"),
        ("output", "TestA", "hello\n"),
        ("output", "TestA", "--- PASS: TestA (0.25s)\n"),
        ("pass", "TestA", None),
        ("output", "", "PASS\n"),
    ]
    assert events[4].elapsed == 0.25
    assert converter.progress.summary == "PASS"


def test_unmarked_lines_end_nothing():
    """A test that prints what looks like framing has only printed output."""
    events, converter = convert(
        b"\x16=== RUN   TestA\n--- FAIL: TestA (0.00s)\nFAIL\n=== RUN   TestB\n"
    )
    assert {e.action for e in events} == {"run", "output"}
    assert list(converter.progress.open) == ["TestA"]


def test_a_test_that_is_over_cannot_end_once_more():
    """The report of a test that has ended is output of the one that runs, unless it runs again."""
    data = b"\x16=== RUN   TestA\n\x16--- FAIL: TestA (0.00s)\n\x16=== RUN   TestB\n"
    forged = b"\x16--- PASS: TestA (0.00s)\n"
    events, _ = convert(data + forged + b"\x16--- PASS: TestB (0.00s)\n\x16FAIL\n")
    ends = [(e.action, e.test) for e in events if e.action in {"pass", "fail"}]
    assert ends == [("fail", "TestA"), ("pass", "TestB")]
    assert ("output", "TestB", "--- PASS: TestA (0.00s)\n") in essence(events)
    again, _ = convert(data + b"\x16--- PASS: TestB (0.00s)\n\x16=== RUN   TestA\n" + forged)
    assert [e.action for e in again if e.test == "TestA" and e.action != "output"] == [
        "run", "fail", "run", "pass",
    ]  # fmt: skip


def test_a_frame_after_unfinished_output_is_seen():
    """Output without a newline does not hide the report that follows it."""
    events, _ = convert(b"\x16=== RUN   TestA\nno newline\x16--- PASS: TestA (0.00s)\n")
    assert [e.action for e in events if e.action != "output"] == ["run", "pass"]


def test_errors_are_marked_and_escapes_resolved():
    """Text between ^O and ^N is an error; ^[ escapes the next byte."""
    events, _ = convert(b"\x16=== RUN   TestA\n\x0f    x_test.go:3: bad\x0e\n\x1b\x16shown\n")
    assert [(e.output, e.output_type) for e in events[2:]] == [
        ("    x_test.go:3: bad\n", "error"),
        ("\x16shown\n", ""),
    ]


def test_escape_sequences_stay_without_markup():
    """With an older Go, ESC is ordinary output."""
    events, _ = convert(b"\x16=== RUN   TestA\n\x1b[31mred\n", markup=False)
    assert events[-1].output == "\x1b[31mred\n"


def test_invalid_utf8_is_replaced():
    """Invalid bytes become the replacement character."""
    events, _ = convert(b"\x16=== RUN   TestA\n\xff\xfe\n")
    assert events[-1].output == "\ufffd\ufffd\n"


@given(st.integers(1, len(RUN)))
def test_pieces_do_not_matter(size):
    """Tests and text do not depend on the size of the chunks."""
    whole, _ = convert(RUN)
    pieces, _ = convert(RUN, size=size)

    def text(events):
        return [(e.action, e.test) for e in events if e.action != "output"], "".join(
            e.output or "" for e in events
        )

    assert text(pieces) == text(whole)


@given(st.binary(max_size=300))
def test_no_bytes_break_it(data):
    """Arbitrary bytes without a mark are all output."""
    events, _ = convert(data, size=7, markup=False)
    if b"\x16" not in data and b"===" not in data and b"---" not in data:
        assert all(e.action == "output" for e in events)
        assert "".join(e.output for e in events).count("\n") == data.count(b"\n")


def test_a_flood_is_reduced_to_head_and_tail():
    """A line between head and tail gives the size of the omitted output."""
    line = b"0123456789abcde\n" * 4096
    chunks = 1 + (go_output.HEAD + go_output.TAIL) * 2 // len(line)
    data = [
        b"\x16=== RUN   TestA\nfirst\n",
        *[line] * chunks,
        b"last\n\x16--- PASS: TestA (1.00s)\n",
    ]
    events = []
    converter = OutputConverter("p", events.append, has_markup=True)
    for chunk in data:
        converter.feed(chunk)
    converter.finish()
    text = "".join(e.output or "" for e in events)
    assert "first\n" in text
    assert "last\n" in text
    assert "envy left out" in text
    assert len(text) < go_output.HEAD + go_output.TAIL + 1000
    assert events[-1].action == "pass"


def test_a_long_line_takes_linear_time():
    """A line of megabytes is emitted in parts, without loss."""
    events, _ = convert(b"\x16=== RUN   TestA\n" + b"x" * (2 << 20) + b"\n", size=1 << 16)
    assert sum(len(e.output or "") for e in events[2:]) == (2 << 20) + 1


def test_carried_over_tests_begin_once():
    """A test that an earlier process had started is not started again."""
    events, _ = convert(
        b"\x16=== RUN   TestA\n\x16--- PASS: TestA (0.00s)\n", carried_over=frozenset({"TestA"})
    )
    assert [e.action for e in events] == ["output", "output", "pass"]
