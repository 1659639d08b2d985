"""What the command line may not import before it has to: deterministic, where a timing is not."""

import json
import subprocess
import sys

import pytest

EXPENSIVE = {
    "backports.zstd",
    "networkx",
    "packaging",
    "platformdirs",
    "rich",
    "tarfile",
    "urllib3",
    "zipfile",
}
PROGRAM = """
import contextlib, io, json, sys
from envy.cli.main import run_command_line
with contextlib.redirect_stdout(io.StringIO()):
    code = run_command_line(sys.argv[1:], environment={}) if sys.argv[1:] else 0
print(json.dumps([code, sorted(sys.modules)]))
"""


def modules_after(*words):
    """The modules that a process has loaded after running this command line."""
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM, *words], capture_output=True, text=True, check=True
    )
    code, modules = json.loads(run.stdout)
    assert code == 0
    return set(modules)


@pytest.mark.parametrize("words", [(), ("--help",), ("version",), ("trace-schema",)], ids=" ".join)
def test_the_command_line_imports_nothing_expensive(words):
    """Importing the command line, and running a small command, loads none of the big libraries."""
    assert modules_after(*words) & EXPENSIVE == set()


def test_help_imports_no_command():
    """The list of commands is in a table, not in the modules of the commands."""
    commands = {
        "sync",
        "asset",
        "run",
        "test",
        "version",
        "trace_schema",
        "product",
        "plan",
        "graph",
        "why",
    }
    assert modules_after("--help") & {f"envy.cli.{name}" for name in commands} == set()
