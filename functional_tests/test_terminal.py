"""What a user sees on a real terminal: the picture of a run under tmux, and what is left of it."""

import os
import re
import shlex
import shutil
import subprocess
import time

import pytest
from project import envy_command

pytestmark = pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")

_PATIENCE = 300.0  # seconds for something that happens at once on an idle machine
SLOW = 'install = "echo compiling the last file of many; touch x; sleep 1000"'


class Terminal:
    """A shell in a terminal of a given size, in which commands are typed."""

    def __init__(self, project, *, width, height, **variables):
        self._socket = str(project.root / "tmux")
        inherited = {
            name: value
            for name, value in os.environ.items()
            if name not in {"CI", "NO_COLOR", "FORCE_COLOR", "TMUX"}
        }
        self._environment = {**inherited, "ENVY_CACHE_ROOT": str(project.cache)}
        size = ["-x", str(width), "-y", str(height)]
        words = [f"{name}={value}" for name, value in {**variables, "PS1": "$ "}.items()]
        shell = shlex.join(["env", *words, "bash", "--norc", "--noprofile"])
        self._tmux("-f", "/dev/null", "new-session", "-d", *size, "-c", str(project.root), shell)

    def _tmux(self, *words):
        run = subprocess.run(
            ["tmux", "-S", self._socket, *words],
            env=self._environment,
            capture_output=True,
            text=True,
            check=True,
        )
        return run.stdout

    def type(self, text):
        self._tmux("send-keys", "-l", text)
        self._tmux("send-keys", "Enter")

    def press(self, key):
        self._tmux("send-keys", key)

    def resize(self, width, height):
        self._tmux("resize-window", "-x", str(width), "-y", str(height))

    def screen(self, *options):
        """Return the lines on the screen, without the empty ones at its end."""
        return self._tmux("capture-pane", "-p", *options).rstrip().splitlines()

    def wait_for(self, pattern, *options):
        """Return the screen as soon as a line of it matches."""
        until = time.monotonic() + _PATIENCE
        while True:
            lines = self.screen(*options)
            if any(re.search(pattern, line) for line in lines):
                return lines
            assert time.monotonic() < until, "\n".join([f"no {pattern} on the screen:", *lines])

    def wait_for_end(self, *patterns):
        """Wait until the last lines of the screen match, each its pattern.

        Some of them may be drawn before the others.
        """
        until = time.monotonic() + _PATIENCE
        while True:
            lines = self.screen()
            last = lines[-len(patterns) :]
            if len(last) == len(patterns) and all(map(re.match, patterns, last)):
                return
            assert time.monotonic() < until, "\n".join(["on the screen:", *lines])

    def close(self):
        self._tmux("kill-server")


@pytest.fixture
def open_terminal(project):
    opened = []

    def open_it(width=80, height=24, **variables):
        terminal = Terminal(project, width=width, height=height, **variables)
        opened.append(terminal)
        terminal.wait_for(r"^\$$")
        return terminal

    yield open_it
    for terminal in opened:
        terminal.close()


@pytest.fixture
def slow(project):
    """A project in which one package is installed at once, and another never ends."""
    project.packages("local.quick@r1", "local.slow@r1")
    project.recipe("local.quick@r1", 'install = "echo > x"')
    project.recipe("local.slow@r1", SLOW)
    return project


ENVY = shlex.quote(envy_command())
COUNTS = r"^1/2 · \d+:\d\d$"
AT_WORK = r"^  \d+:\d\d install local\.slow@r1  compiling the last file of many$"


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
def test_the_picture_of_a_run(slow, open_terminal, size):
    """A run shows counts, and what is at work, below the lines that stay."""
    terminal = open_terminal(*size)
    terminal.type(f"{ENVY} sync")
    terminal.wait_for_end(r"✓ installed local\.quick@r1 \(", COUNTS, AT_WORK)


def test_a_narrow_terminal(slow, open_terminal):
    """In forty columns, names stay whole."""
    terminal = open_terminal(40, 24)
    terminal.type(f"{ENVY} sync")
    terminal.wait_for(r"local\.slow@r1 *$")


def test_nothing_is_left_behind_after_an_interrupt(slow, open_terminal):
    """After Ctrl-C the picture is gone, with the ^C that the terminal shows."""
    terminal = open_terminal()
    terminal.type(f"clear; {ENVY} sync")
    terminal.wait_for("compiling the last file")
    terminal.wait_for(COUNTS)
    terminal.press("C-c")
    terminal.wait_for("sync cancelled")
    lines = terminal.wait_for(r"^\$$")
    assert re.match(r"✓ installed local\.quick@r1 \(", lines[0])
    assert not any("^C" in line or "compiling" in line or "1/2" in line for line in lines[:-1])
    # The last line may be broken, between two words.
    assert lines[1].startswith("sync cancelled: 2 packages, ")
    assert all(line.startswith("  ") for line in lines[2:-1])


def test_nothing_is_left_behind_after_a_terminal_becomes_narrower(slow, open_terminal):
    """A region whose lines a narrower terminal broke is removed whole."""
    terminal = open_terminal(100, 24)
    terminal.type(f"clear; {ENVY} sync")
    terminal.wait_for("compiling the last file")
    terminal.resize(44, 24)
    terminal.wait_for(r"local\.slow@r1$")
    terminal.press("C-c")
    terminal.wait_for("cancelled")
    lines = terminal.wait_for(r"^\$$")
    assert sum("slow" in line for line in lines) == 0, lines


@pytest.mark.parametrize(
    ("variables", "has_picture", "has_colours"),
    [
        ({}, True, True),
        ({"NO_COLOR": "1"}, True, False),
        ({"TERM": "dumb"}, False, False),
        ({"CI": "true"}, False, True),
    ],
    ids=["plain", "NO_COLOR", "dumb", "CI"],
)
def test_variables_choose_pictures_and_colours(
    slow, open_terminal, variables, has_picture, has_colours
):
    """TERM=dumb and CI have no picture; NO_COLOR has no colours."""
    slow.recipe("local.quick@r1", 'install = "exit 3"')
    terminal = open_terminal(100, 24, **variables)
    terminal.type(f"clear; {ENVY} sync")
    lines = terminal.wait_for(r"failed local\.quick@r1", "-e")
    if not has_picture:
        lines = terminal.wait_for(r"installing local\.slow@r1", "-e")
    else:
        lines = terminal.wait_for("compiling", "-e")
    text = "\n".join(lines)
    assert ("1 failed" in text) == has_picture
    assert ("\x1b[31m" in text) == has_colours


@pytest.mark.parametrize(("forced", "has_colours"), [("1", True), ("0", False), ("", False)])
def test_a_pipe_has_colours_only_if_they_are_forced(project, forced, has_colours):
    """Output in a pipe is plain lines; FORCE_COLOR colours them."""
    project.packages("local.bad@r1")
    project.recipe("local.bad@r1", 'install = "exit 3"')
    run = project.envy("sync", code=1, env={"FORCE_COLOR": forced})
    assert ("\x1b[31m✗\x1b[0m \x1b[31mfailed local.bad@r1 in install" in run.err) == has_colours
    assert ("\x1b[31merror: local.bad@r1: install failed\x1b[0m" in run.err) == has_colours
    assert "\r" not in run.err
    assert has_colours or "\x1b" not in run.err
