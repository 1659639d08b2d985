"""Modules that the command line must not import early; unlike timings, this is deterministic."""

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
    """Return the modules that a process has loaded after running this command line."""
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


@pytest.mark.parametrize(
    ("words", "loads"),
    [
        *((("--format", form), False) for form in ("tree", "json", "dot", "mermaid", "svg")),
        (("--format", "graphml"), True),
        (("--reduce",), True),
        (("--critical",), True),
    ],
    ids=str,
)
def test_only_questions_about_the_whole_graph_load_networkx(tmp_path, words, loads):
    """`envy graph` loads networkx only for what has to be computed on the whole graph."""
    (tmp_path / "envy.lua").write_text('packages = { "local.app@r1" }')
    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes/local.app@r1.lua").write_text(
        'identity = "local.app@r1"\ninstall = "touch app"'
    )
    places = ("--manifest", tmp_path / "envy.lua", "--cache-root", tmp_path / "cache")
    assert ("networkx" in modules_after("graph", *words, *places)) is loads


def test_a_sync_loads_only_what_its_recipes_use(tmp_path):
    """A first sync of a recipe without sources and scripts loads nothing that only others need."""
    (tmp_path / "envy.lua").write_text('packages = { "local.app@r1" }')
    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes/local.app@r1.lua").write_text(
        'identity = "local.app@r1"\ninstall = function(ctx) ctx.write("app", "") end'
    )
    places = ("--manifest", tmp_path / "envy.lua", "--cache-root", tmp_path / "cache")
    unused = {"difflib", "hashlib", "shutil", "socket", "subprocess", "tempfile"} | {
        f"envy.{name}"
        for name in (
            "console.live",
            "console.progress",
            "console.screen",
            "console.trace",
            "content.patch",
            "engine.launchers",
            "engine.project_launchers",
            "execution.ctx_fetch",
            "execution.custom_fetch",
            "execution.transfer",
            "execution.unpack",
            "execution.unpinned",
            "host.failed_line",
            "lua.template",
            "transport.addresses",
            "transport.digests",
        )
    }
    assert modules_after("sync", *places) & (EXPENSIVE | unused) == set()


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


def test_hashing_small_files_loads_little(tmp_path):
    """`envy hash` with BLAKE3 loads no OpenSSL, no pool of threads and no events."""
    (tmp_path / "file").write_text("small")
    loaded = modules_after("hash", "--json", "--algorithm", "blake3", str(tmp_path))
    assert loaded & {"_hashlib", "concurrent.futures.thread", "envy.events"} == set()
