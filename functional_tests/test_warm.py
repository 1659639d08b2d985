"""Warm commands: answered from an earlier run without Lua, and never with a stale answer."""

import json
import random
import subprocess
import sys

import pytest

PROGRAM = """
import contextlib, io, json, os, sys
from envy.cli.main import run_command_line
out = io.StringIO()
with contextlib.redirect_stdout(out), contextlib.redirect_stderr(io.StringIO()):
    code = run_command_line(sys.argv[1:], environment=dict(os.environ))
print(json.dumps([code, out.getvalue(), sorted(sys.modules)]))
"""
UNWANTED = {"lupa", "networkx", "rich", "urllib3", "platformdirs", "packaging", "tarfile"}


def modules_of(project, *words):
    """Exit code, output and loaded modules of a command run in a process of its own."""
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM, *words],
        cwd=project.root,
        env=project.environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    code, out, modules = json.loads(run.stdout)
    return code, out, set(modules)


@pytest.fixture
def built(project):
    """A project of a few packages, synced."""
    project.packages("local.app@r1")
    project.recipe("local.lib@r1", 'install = "echo lib > lib.txt"')
    project.recipe(
        "local.app@r1",
        'dependencies = { "local.lib@r1" }\ninputs = { "*.txt" }\npass_env = { "FLAVOUR" }\n'
        'local found = io.open("maybe.cfg", "r")\n'
        'install = function(ctx) ctx.write("app.txt", found and "cfg" or "plain") end',
    )
    project.write("recipes/note.txt", "note")
    project.envy("sync")
    return project


@pytest.mark.parametrize("words", [("asset", "app"), ("asset", "lib"), ("sync",)], ids=" ".join)
def test_a_warm_command_loads_neither_lua_nor_the_engine(built, words):
    """What an earlier run found out is enough."""
    code, _out, modules = modules_of(built, *words)
    assert code == 0
    assert {name.partition(".")[0] for name in modules} & UNWANTED == set()
    assert not [name for name in modules if name.startswith(("envy.engine", "envy.phases"))]


def test_a_warm_answer_is_that_of_the_full_way(built):
    """The path is the same, warm or with --verbose, which always takes the full way."""
    warm = built.envy("asset", "app", trace=False)
    assert warm.out == built.envy("asset", "app", "--verbose").out


def test_a_removed_entry_is_made_again(built):
    """A marker that has gone is noticed before any answer is given."""
    [marker] = built.cache.glob("assets/local.lib@r1/*/envy-complete")
    marker.unlink()
    built.envy("asset", "app", trace=False)
    assert marker.exists()


def test_no_change_is_ever_answered_with_an_old_path(built):
    """Random changes and restorations: the warm answer equals that of the full way each time."""
    rng = random.Random(1)
    originals = {
        name: (built.root / name).read_text()
        for name in ("envy.lua", "recipes/local.lib@r1.lua", "recipes/note.txt")
    }
    environment = {}
    for _ in range(12):
        match rng.randrange(6):
            case 0:
                name = rng.choice(list(originals))
                mark = "\n" if name.endswith("txt") else f"\n-- {rng.randrange(3)}\n"
                built.write(name, originals[name] + mark)
            case 1:
                for name, text in originals.items():
                    built.write(name, text)
            case 2:
                built.write("recipes/maybe.cfg", "x")
            case 3:
                (built.root / "recipes/maybe.cfg").unlink(missing_ok=True)
            case 4:
                environment["FLAVOUR"] = str(rng.randrange(2))
            case 5:
                built.write(f"recipes/more{rng.randrange(2)}.txt", "more")
        warm = built.envy("asset", "app", env=environment, trace=False)
        full = built.envy("asset", "app", "--verbose", env=environment, trace=False)
        assert warm.out == full.out


def test_a_damaged_answer_is_no_answer(built):
    """A file below resolved/ that cannot be read is worked out again, without a word."""
    [answer] = built.cache.glob("resolved/*.json")
    answer.write_text('{"host": 1')
    assert built.envy("asset", "app", trace=False).out.startswith(str(built.cache))


def test_a_user_managed_package_is_checked_even_so(project, tmp_path):
    """A sync whose manifest has one runs its check, each time."""
    log = tmp_path / "checks"
    project.packages("local.tool@r1")
    project.recipe("local.tool@r1", f'check = "echo x >> {log}"\ninstall = "true"')
    for _ in range(3):
        project.envy("sync", trace=False)
    assert log.read_text() == "x\n" * 3
