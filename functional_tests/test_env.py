"""`envy env`: the variables that `envy run` gives to a program, as text for shells and programs."""

import json
import subprocess
import sys

import pytest
from project import Project

TOOL = """
products = { tool = "bin/tool" }
exports = { env = { SAID = "it's \\"$HOME\\"" } }
install = function(ctx)
  ctx.write("bin/tool", "#!/bin/sh\\necho tool\\n")
  ctx.run("chmod +x bin/tool")
end
"""


@pytest.fixture
def tooled(project):
    """A project with a tool, a variable of the manifest and a dotenv file; not synced."""
    project.manifest('packages = { "local.tool@r1" }\nenv = { LEVEL = "a b" }\ndotenv = ".env"')
    project.recipe("local.tool@r1", TOOL)
    project.write(".env", "LINES='one\ntwo'\n")
    return project


def of_run(project, names, **options):
    """Return variables as a program of `envy run` sees them."""
    program = "import json, os, sys; print(json.dumps({n: os.environ[n] for n in sys.argv[1:]}))"
    out = project.envy("run", sys.executable, "-c", program, *names, **options).out
    return json.loads(out)


@pytest.mark.parametrize("trace", [True, False], ids=["full", "warm"])
def test_the_variables_are_those_of_run(tooled, trace):
    """Missing packages are installed, and each variable has the value that `envy run` sets."""
    found = json.loads(tooled.envy("env", "--format", "json").out)
    again = json.loads(tooled.envy("env", "--format", "json", trace=trace).out)
    assert again == found == of_run(tooled, list(found))
    assert set(found) == {"PATH", "SAID", "LEVEL", "LINES"}
    assert found["LINES"] == "one\ntwo"
    assert found["SAID"] == 'it\'s "$HOME"'


def test_a_shell_finds_the_tools(tooled):
    """`eval "$(envy env)"` sets the variables; done twice, PATH has each folder once."""
    text = tooled.envy("env").out
    script = f'{text}\ntool; printf "%s|" "$SAID" "$LEVEL" "$LINES"'
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == 'tool\nit\'s "$HOME"|a b|one\ntwo|'
    path = json.loads(tooled.envy("env", "--format=json").out)["PATH"]
    again = tooled.envy("env", "--format", "json", env={"PATH": path}, trace=False).out
    assert json.loads(again)["PATH"] == path


def test_one_package_only(tooled):
    """With --with, the variables are those of some packages and of the manifest."""
    tooled.manifest('packages = { "local.tool@r1", "local.other@r1" }')
    tooled.recipe("local.other@r1", 'install = "touch x"\nexports = { env = { OTHER = "1" } }')
    found = json.loads(tooled.envy("env", "--with", "tool", "--format", "json").out)
    assert set(found) == {"PATH", "SAID"}


def test_what_cannot_be_printed_is_an_error(tooled):
    """A missing package, a failed one, a bad dotenv file, an unknown format: nothing is printed."""
    refused = tooled.envy("env", "--no-install", code=1)
    assert refused.out == ""
    assert "not installed: local.tool@r1" in refused.err
    assert tooled.envy("env", "--format", "xml", code=2).out == ""
    tooled.envy("env")
    tooled.write(".env", "nothing\n")
    broken = tooled.envy("env", code=1, trace=False)
    assert (broken.out, ".env:1: 'nothing' is not a variable" in broken.err) == ("", True)
    (tooled.root / ".env").unlink()
    tooled.recipe("local.tool@r1", 'install = "exit 3"')
    failed = tooled.envy("env", code=1, trace=False)
    assert failed.out == ""
    assert "env failed" in failed.err


def test_an_edit_and_a_removed_entry_are_noticed(tooled):
    """The stored answer is not used once the manifest or the cache has changed."""
    tooled.envy("env")
    tooled.manifest('packages = { "local.tool@r1" }\nenv = { LEVEL = "new" }')
    found = json.loads(tooled.envy("env", "--format", "json", trace=False).out)
    assert (found["LEVEL"], "LINES" in found) == ("new", False)
    [marker] = tooled.cache.glob("assets/local.tool@r1/*/envy-complete")
    marker.unlink()
    tooled.envy("env", trace=False)
    assert marker.exists()


def test_hard_paths(tmp_path):
    """Spaces, quotes, newlines and other scripts in the paths of project and cache."""
    project = Project(tmp_path / "a b'c\"d\né$x")
    project.manifest('packages = { "local.tool@r1" }\nenv = { HERE = "{{project}}" }')
    project.recipe("local.tool@r1", TOOL)
    for trace in (True, False):
        text = project.envy("env", trace=trace).out
        script = f'{text}\ntool; printf "%s" "$HERE"'
        done = subprocess.run(["sh", "-c", script], capture_output=True, check=True)
        assert done.stdout.decode() == f"tool\n{project.root}"
