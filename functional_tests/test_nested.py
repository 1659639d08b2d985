"""An envy that a script of another envy runs: it works, unless both would wait for each other."""

import os
from pathlib import Path

import pytest
from project import Project, envy_command

linux = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs /proc")


def nested(project, *words, manifest="envy.lua"):
    """The command that runs envy in a script, with the same cache."""
    shown = " ".join(words)
    return (
        f"{envy_command()} --manifest={project.root}/{manifest} "
        f"--cache-root={project.cache} sync {shown}"
    )


def meeting(tmp_path, own, other):
    """A script that waits until another one runs, too; a second time, it fails."""
    once = f"mkdir {tmp_path}/{own}.ran"
    return f"{once}; echo > {tmp_path}/{own}.fifo & cat {tmp_path}/{other}.fifo; wait"


def test_a_script_that_needs_its_own_package(project):
    """The error names the package, at once, on every system."""
    run = project.sync_one(f"install = [[ {nested(project)} ]]", code=1)
    assert "this wait would never end: local.one@r1 → local.one@r1" in run.err
    assert "this envy runs in a script of local.one@r1" in run.err
    assert "process " in run.err


def test_a_script_in_a_script(project):
    """The package may be that of a script further above."""
    project.manifest('packages = { "local.one@r1" }')
    project.write("two.lua", 'packages = { "local.two@r1" }')
    project.recipe("local.one@r1", f"install = [[ {nested(project, manifest='two.lua')} ]]")
    project.recipe("local.two@r1", f"install = [[ {nested(project)} ]]")
    run = project.envy("sync", code=1)
    assert "this wait would never end: local.one@r1 → local.one@r1" in run.err


@linux
@pytest.mark.parametrize("processes", [1, 2])
def test_two_scripts_that_need_each_other(project, tmp_path, processes):
    """The error names both packages, whether one envy makes them or two."""
    for name in "ab":
        os.mkfifo(tmp_path / f"{name}.fifo")
    project.packages("local.a@r1", "local.b@r1")
    for own, other in ("ab", "ba"):
        script = f"{meeting(tmp_path, own, other)}\n{nested(project, f'local.{other}@r1')}"
        project.recipe(f"local.{own}@r1", f"install = [[\n{script}\n]]")
    goals = [["local.a@r1", "local.b@r1"]] if processes == 1 else [["local.a@r1"], ["local.b@r1"]]
    runs = [project.popen("sync", "--jobs=2", *words) for words in goals]
    said = "".join(run.communicate(timeout=300)[1].decode() for run in runs)
    assert 1 in [run.returncode for run in runs]
    a, b = "local.a@r1", "local.b@r1"
    assert any(f"this wait would never end: {x} → {y} → {x}" in said for x, y in ((a, b), (b, a)))
    assert project.held_locks() == []


@linux
def test_what_the_other_makes_for_itself_is_waited_for(project, tmp_path):
    """A script may need a package that its own envy is making at the same time."""
    for name in "ab":
        os.mkfifo(tmp_path / f"{name}.fifo")
    project.packages("local.a@r1", "local.b@r1")
    needs = f"{meeting(tmp_path, 'a', 'b')}\n{nested(project, 'local.b@r1')}; touch x"
    project.recipe("local.a@r1", f"install = [[\n{needs}\n]]")
    project.recipe("local.b@r1", f"install = [[ {meeting(tmp_path, 'b', 'a')}; touch x ]]")
    project.envy("sync", "--jobs=2")
    assert project.markers() == ["local.a@r1", "local.b@r1"]


def test_another_package_is_made(project, tmp_path):
    """A nested envy installs what nobody is making."""
    project.write("other.lua", 'packages = { "local.other@r1" }')
    project.recipe("local.other@r1", 'install = "touch x"')
    project.make(f"install = [[ {nested(project, manifest='other.lua')}; touch x ]]")
    assert project.markers() == ["local.one@r1", "local.other@r1"]
    assert Project(tmp_path / "project").held_locks() == []
