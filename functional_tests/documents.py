"""The examples of a document, and running them as a reader would.

An example begins at `<!-- example: NAME -->` and ends at `<!-- end -->` or with the document. Its
fenced blocks are steps: a block with `file=PATH` in its first line is a file to write; a `console`
block contains commands after `$ ` and their output. A line `...` stands for any number of lines.
Commands run on a pseudo-terminal, in a folder that represents the reader's home.
"""

import fcntl
import importlib.util
import os
import pty
import re
import struct
import subprocess
import termios
from dataclasses import dataclass, field
from pathlib import Path

from project import envy_command

REPOSITORY = Path(__file__).parent.parent
_MARK = re.compile(r"<!-- (?:example: (.*?)|end) -->$")
_FENCE = re.compile(r"( *)```(.*)$")
_VOLATILE = [
    (re.compile(r"\b(\d+m )?\d+(\.\d+)?s\b"), "0s"),
    (re.compile(r"\b(linux|darwin)-(x86_64|arm64)\b"), "linux-x86_64"),
    (re.compile(r"blake3-[0-9a-f]{16}"), "blake3-0"),
    (re.compile(r"\b[0-9a-f]{16}/\d{8}T\d{6}-\d+-\d+\b"), "KEY/TIME"),
    # A document may leave out the signs, and the reason that is shown when a phase fails.
    (re.compile(r"^[✓✗] "), ""),
    (re.compile(r"^(failed \S+ in \w+( \(0s\))?): .*"), r"\1"),
]


@dataclass
class Example:
    """An example: its name, and its steps in order."""

    name: str
    steps: list = field(default_factory=list)  # ("file", path, text) or ("command", words, output)

    @property
    def needs_network(self):
        """Whether the example downloads from a package registry."""
        return "network" in self.name.split()


def blocks_of(text):
    """Return each fenced block as (example name or "", info string, content), in order."""
    found, example, fence, lines = [], "", None, []
    for line in text.splitlines():
        mark, quote = _MARK.match(line), _FENCE.match(line)
        if fence is None and mark:
            example = mark[1] or ""
        elif fence is None and quote:
            fence, lines = quote, []
        elif fence is not None and quote and not quote[2]:
            found.append((example, fence[2].strip(), "\n".join(lines) + "\n"))
            fence = None
        elif fence is not None:
            lines.append(line.removeprefix(fence[1]))
    return found


def examples_of(document):
    """Return the examples of a document of the repository."""
    examples = {}
    for name, info, content in blocks_of((REPOSITORY / document).read_text()):
        if not name:
            continue
        steps = examples.setdefault(name, Example(name)).steps
        if "file=" in info:
            steps.append(("file", info.partition("file=")[2].split()[0], content))
        elif info == "console":
            steps += _commands(content)
    return list(examples.values())


def _commands(content):
    steps = []
    for line in content.splitlines():
        if line.startswith("$ "):
            steps.append(("command", line[2:], []))
        else:
            steps[-1][2].append(line)
    return steps


def run_example(example, home):
    """Follow an example in a new home; fail if the output differs from the document."""
    home.mkdir(parents=True, exist_ok=True)
    directory = home
    for kind, what, content in example.steps:
        if kind == "file":
            path = directory / what
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
            continue
        printed, directory = _run_command(what, directory, home)
        expected = [_without_volatile_parts(line) for line in content]
        actual = [_without_volatile_parts(line) for line in printed]
        assert _lines_match(expected, actual), (
            f"{example.name}: $ {what}\nwritten:\n" + "\n".join(content) + "\nprinted:\n"
        ) + "\n".join(printed)


def _run_command(command, directory, home):
    """Run a command line; return what the terminal shows, and the directory in which it ended."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 400, 0, 0))
    ended_in = home.parent / f"{home.name}-pwd"
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("ENVY_")}
    process = subprocess.Popen(
        ["bash", "-c", f'{command}\nstatus=$?; pwd > "$ENDED_IN"; exit $status'],
        cwd=directory,
        stdin=subprocess.DEVNULL,
        stdout=slave,
        stderr=slave,
        env={
            **inherited,
            "ENVY_CACHE_ROOT": str(home / ".cache" / "envy"),
            "ENDED_IN": str(ended_in),
            "PATH": f"{Path(envy_command()).parent}{os.pathsep}{inherited['PATH']}",
            "TERM": "xterm-256color",
        },
        start_new_session=True,
    )
    os.close(slave)
    shown = _read_all(master).replace(str(home), "/home/you")
    process.wait()
    screen = _terminal().Screen()
    screen.feed(shown)
    rows = [re.sub(r"\x1b\[[0-9;]*m", "", row).rstrip() for row in screen.shown()]
    return rows, Path(ended_in.read_text().strip())


def _read_all(master):
    chunks = []
    while True:
        try:
            chunk = os.read(master, 65536)
        except OSError:  # how Linux reports the end of a pseudo-terminal
            chunk = b""
        if not chunk:
            os.close(master)
            return b"".join(chunks).decode("utf-8", "replace")
        chunks.append(chunk)


def _terminal():
    path = REPOSITORY / "docs" / "images" / "render_sync.py"
    spec = importlib.util.spec_from_file_location("render_sync", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _without_volatile_parts(line):
    """Replace what differs between runs and between machines."""
    for pattern, replacement in _VOLATILE:
        line = pattern.sub(replacement, line)
    return line


def _lines_match(expected, actual):
    """Whether the lines are as expected; `...` stands for any number of lines."""
    if not expected:
        return not actual
    if expected[0].strip() == "...":
        return any(_lines_match(expected[1:], actual[i:]) for i in range(len(actual) + 1))
    return bool(actual) and expected[0] == actual[0] and _lines_match(expected[1:], actual[1:])
