"""The terminal view of `envy test` on a pseudo-terminal, with real tests."""

import json
import os
import subprocess

import pytest
from gotests import wait_for
from view_terminal import FAILED, PASSED, Terminal

pytest.importorskip("textual", reason="the extra envy-tool[tui] is not installed")

MIXED = (
    'package p\nimport "testing"\nfunc TestGood(t *testing.T) {}\n'
    'func TestBad(t *testing.T) { t.Fatal("it went wrong") }\n'
)


GATED = (
    'package p\nimport ("os"; "testing"; "time")\nfunc TestGood(t *testing.T) {}\n'
    "func TestBad(t *testing.T) {\n"
    'for { if _, err := os.Stat("gate"); err == nil { break }; time.Sleep(time.Millisecond) }\n'
    't.Fatal("it went wrong") }\n'
)


def test_a_run_is_shown_rerun_and_left(go_project):
    """The view opens on a terminal; t reruns one test; q exits with the code of the run."""
    go_project.test("p", GATED)
    gate = go_project.write("p/gate", "")
    terminal = Terminal(go_project)
    terminal.read_until(FAILED)
    gate.unlink()  # else the test may be over before it is drawn
    terminal.press(b"n")
    terminal.press(b"t")
    terminal.read_until(b"running TestBad")
    gate.touch()
    terminal.read_until(FAILED)
    terminal.press(b"q")
    terminal.read_until(b"1 passed, 1 failed, 0 skipped in 1 package (1 failed)")
    assert terminal.code() == 1


def test_a_remembered_run_is_shown_at_once_and_can_be_rerun(go_project):
    """An unchanged run opens with its remembered results; r runs the tests in spite of them."""
    go_project.settle = "0"
    did = go_project.root.parent / "did"  # written by a child, which no log shows
    script = f'exec.Command("sh", "-c", "echo > {did}").Run()'
    go_project.test(
        "p",
        'package p\nimport ("os/exec"; "testing")\n'
        f"func TestGood(t *testing.T) {{ if err := {script}; err != nil {{ t.Fatal(err) }} }}\n",
    )
    go_project.envy_test()
    did.unlink()
    terminal = Terminal(go_project)
    terminal.read_until(PASSED)
    assert not did.exists()
    terminal.press(b"r")
    wait_for(did)
    terminal.press(b"q")
    terminal.code()
    did.unlink()
    terminal = Terminal(go_project)
    terminal.read_until(PASSED)
    terminal.press(b"q")
    terminal.read_until(b"in 1 package (1 cached)")
    assert terminal.code() == 0
    assert not did.exists()


def test_a_run_is_stopped_rerun_and_watched(go_project):
    """A stopped run says so, a rerun is whole, and a change runs only what it affects."""
    go_project.settle = "0"
    root = go_project.root.parent
    (root / "blocks").mkdir()
    block, did = root / "blocks/it", root / "did"  # a child writes `did`, which no log shows
    block.touch()
    go_project.test(
        "a",
        'package a\nimport ("os"; "os/exec"; "testing"; "time")\n'
        "func TestLong(t *testing.T) {\n"
        f'if _, err := os.Stat("{block}"); err == nil {{ time.Sleep(time.Hour) }}\n'
        f'exec.Command("sh", "-c", "echo >> {did}").Run()\n}}\n',
    )
    go_project.test(
        "b",
        'package b\nimport ("os"; "testing"; "time")\n'
        f'func TestB(t *testing.T) {{ if _, err := os.Stat("{block}"); err == nil {{ '
        "time.Sleep(time.Hour) } }\n",
    )
    terminal = Terminal(go_project)
    terminal.read_until(b"TestLong")
    terminal.press(b"s")
    terminal.read_until(b"stopped, 2 not run  ")
    block.unlink()
    terminal.press(b"r")
    terminal.read_until(PASSED)
    terminal.press(b"W")
    terminal.read_until("· watching".encode())
    go_project.change(
        "b", 'package b\nimport "testing"\nfunc TestB(t *testing.T) { t.Fatal("broken") }\n'
    )
    terminal.read_until(FAILED)
    terminal.press(b"q")
    terminal.read_until(b"1 passed, 1 failed, 0 skipped in 2 packages (1 failed, 1 cached)")
    assert terminal.code() == 1
    assert did.read_text() == "\n"


def test_leaving_a_run_ends_it(go_project):
    """q ends running tests, and the exit code is 130."""
    go_project.test(
        "p",
        'package p\nimport ("testing"; "time")\n'
        "func TestLong(t *testing.T) { time.Sleep(time.Hour) }\n",
    )
    terminal = Terminal(go_project)
    terminal.read_until(b"TestLong")
    terminal.press(b"q")
    assert terminal.code() == 130


def test_a_missing_extra_is_named_with_the_command_that_installs_it(go_project):
    """Without Textual, --tui always is an error; otherwise plain lines are used."""
    hidden = go_project.root.parent / "hidden"
    hidden.mkdir()
    (hidden / "sitecustomize.py").write_text("import sys\nsys.modules['textual'] = None\n")
    terminal = Terminal(go_project, "--tui", "always", PYTHONPATH=str(hidden))
    terminal.read_until(b"--tui always needs Textual")
    terminal.read_until(b"pip install 'envy-tool[tui]'")
    assert terminal.code() == 2


@pytest.mark.parametrize("words", [[], ["--load", "run.json"]])
@pytest.mark.parametrize("controls", [True, False])
def test_a_closed_terminal_ends_the_view(go_project, controls, words):
    """When the window is closed or the connection breaks, the process ends."""
    go_project.test("p", MIXED)
    row = {"Action": "pass", "Package": "saved/one", "Elapsed": 0.5}
    go_project.write("run.json", json.dumps(row) + "\n")
    terminal = Terminal(go_project, *words, controls=controls)
    terminal.read_until(b"saved/one" if words else FAILED)
    os.close(terminal.primary)
    assert terminal.process.wait(timeout=300) is not None


def test_a_saved_run_can_be_looked_at(go_project):
    """--load opens the view on a terminal, which `m` gives the mouse."""
    rows = [
        {"Action": "start", "Package": "saved/one"},
        {"Action": "pass", "Package": "saved/one", "Elapsed": 0.5},
    ]
    go_project.write("run.json", "".join(json.dumps(row) + "\n" for row in rows))
    terminal = Terminal(go_project, "--load", "run.json")
    terminal.read_until(b"saved/one")
    terminal.press(b"m")
    terminal.read_until(b"\x1b[?1000l\x1b[?1003l")  # the terminal has the mouse again
    terminal.press(b"q")
    assert terminal.code() == 0


def test_watch_runs_again_when_a_file_changes(go_project):
    """A changed test file causes a new run; SIGINT ends the watch."""
    go_project.test("p", MIXED)
    process = go_project.popen("test", "--watch", "--tui", "never", stdout=subprocess.PIPE)
    out = b""

    def read_until(text):
        nonlocal out
        while text not in out:
            chunk = os.read(process.stderr.fileno(), 1 << 16)
            assert chunk, out
            out += chunk
        out = b""

    read_until(b"waiting for a change")
    go_project.change("p", MIXED.replace('t.Fatal("it went wrong")', ""))
    read_until(b"waiting for a change")
    process.send_signal(2)
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 130
    assert b"1 passed, 1 failed" in output
    assert b"2 passed, 0 failed" in output
