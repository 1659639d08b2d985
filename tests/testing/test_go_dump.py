"""Dumps of goroutines, cut to the user's."""

import pytest

from envy.testing.drivers.go_dump import cut_dump
from envy.testing.drivers.go_output import OutputConverter

USERS = (
    b"goroutine 7 gp=0xc0 m=nil [sleep]:\ntime.Sleep(0x1)\n\t/go/src/time/sleep.go:1 +0x1 fp=0x1\n"
    b"m.TestA(0x1)\n\t/home/m/x_test.go:4 +0x45 fp=0xc000 sp=0xc001 pc=0x54\n"
)
GOS = b"goroutine 1 [chan receive]:\nmain.main()\n\t_testmain.go:47 +0x1\n\t/go/src/a.go:1\n"
HEAD = b"SIGQUIT: quit\nPC=0x40 m=0 sigcode=0\n"
REGISTERS = b"rax    0xfffffffffffffffc\nr8     0x0\nrflags 0x246\n"


def test_a_dump_is_cut_to_the_users_goroutines():
    """Goroutines of Go alone, addresses and registers go; how to see them is said."""
    text = b"\n".join([HEAD, GOS, USERS, REGISTERS])
    lines = b"".join(cut_dump([text], "/go")).decode().splitlines()
    assert lines == [
        "SIGQUIT: quit",
        "PC=0x40 sigcode=0",
        "",
        "goroutine 7 [sleep]:",
        "time.Sleep(0x1)",
        "\t/go/src/time/sleep.go:1 +0x1",
        "m.TestA(0x1)",
        "\t/home/m/x_test.go:4 +0x45",
        "",
        "envy: 1 goroutine runs only Go's own code; GOTRACEBACK=all shows everything",
    ]


@pytest.mark.parametrize("text", [b"", b"panic: a\n\n" + USERS, HEAD + b"\n" + GOS + b"\n" + GOS])
def test_a_dump_without_choice_is_whole(text):
    """One goroutine, or none of the user's: nothing is cut."""
    assert b"".join(cut_dump([text], "/go")) == text


def outputs(data, *, cut="/go", reason="panic", size=0):
    """Return the events of a process that wrote this."""
    events = []
    converter = OutputConverter("p", events.append, has_markup=True)
    for start in range(0, len(data), size or len(data)):
        converter.feed(data[start : start + (size or len(data))])
    converter.finish(cut=cut, reason=reason)
    return events


PANIC = (
    b"\x16=== RUN   TestA\n\x16=== RUN   TestA/sub\n\x16--- FAIL: TestA/sub (0.00s)\n"
    b"\x16--- FAIL: TestA (0.01s)\npanic: oh [recovered]\n\n" + USERS + b"\n" + GOS
)


@pytest.mark.parametrize("size", [0, 7])
def test_a_panic_is_the_reason_of_its_tests(size):
    """A test that panics, and the test that it is part of, have the reason; the text is theirs."""
    events = outputs(PANIC, size=size)
    assert [(e.test, e.reason) for e in events if e.action == "fail"] == [
        ("TestA/sub", "panic"),
        ("TestA", "panic"),
    ]
    text = "".join(e.output for e in events if e.action == "output" and e.test == "TestA")
    assert "panic: oh" in text
    assert "/home/m/x_test.go:4" in text
    assert "_testmain.go" not in text


def test_what_only_looks_like_a_dump_is_output():
    """A test that prints a panic and goes on has lost nothing, and has no reason."""
    printed = b"panic: no\n\n" + USERS + b"\n" + GOS
    data = b"\x16=== RUN   TestA\n" + printed + b"\x16--- FAIL: TestA (0.01s)\n\x16FAIL\n"
    events = outputs(data)
    text = "".join(e.output for e in events if e.action == "output" and e.output_type != "frame")
    assert text.encode() == printed
    assert [e.reason for e in events if e.action == "fail"] == [""]
