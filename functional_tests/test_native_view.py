"""The terminal view of `envy test` with tests of C."""

import pytest

pytest.importorskip("textual", reason="the extra envy-tool[tui] is not installed")

from view_terminal import FAILED, PASSED, Terminal

TESTS = """
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
int test_a(void) { return 0; }
void test_b(void) {
  while (access("block", F_OK) == 0) usleep(1000);
  fprintf(stderr, "x_test.c:7: about to end\\n"); abort();
}
int test_c(void) { return 0; }
"""


def test_native_tests_are_run_rerun_and_shown_as_cached(native_project):
    """A crash fails its test only, t runs one test, and what passed is shown as cached."""
    native_project.write("lib/x_test.c", TESTS)
    terminal = Terminal(native_project)
    terminal.read_until(FAILED + "2 ✗1".encode())
    terminal.press(b"n")
    terminal.press(b"\r")
    terminal.read_until(b"about to end")
    block = native_project.write("lib/block", "")  # else it may be over before it is drawn
    terminal.press(b"t")
    terminal.read_until(b"running test_b")
    block.unlink()
    terminal.read_until(FAILED + "2 ✗1".encode())
    terminal.press(b"q")
    terminal.read_until(b"2 passed, 1 failed, 0 skipped in 1 package (1 failed)")
    assert terminal.code() == 1
    native_project.write("lib/x_test.c", TESTS.replace("abort();", ""))
    native_project.envy_test(env={"ENVY_TEST_SETTLE": "0", "TERM": "xterm-256color"})
    terminal = Terminal(native_project, ENVY_TEST_SETTLE="0")
    terminal.read_until(PASSED + "3 ✗0".encode())
    terminal.press(b"q")
    terminal.read_until(b"3 passed, 0 failed, 0 skipped in 1 package (1 cached)")
    assert terminal.code() == 0
