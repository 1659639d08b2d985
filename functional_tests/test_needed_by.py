"""`needed_by`: the phase of the dependent that waits for a dependency, and what runs before."""

import os

import pytest

PHASES = ("check", "fetch", "stage", "build", "install", "deploy", "completion")

# A recipe with work in every phase.
BUSY = """
fetch = function(ctx) ctx.run("true") end
stage = "true"
build = "true"
install = "echo app > app.txt"
deploy = function(ctx) ctx.run("true") end
"""


def needs(identity, phase):
    """Return a line that declares a dependency."""
    return f'dependencies = {{ {{ recipe = "{identity}", needed_by = "{phase}" }} }}\n'


@pytest.mark.parametrize("phase", PHASES)
def test_the_named_phase_starts_after_the_dependency_is_complete(project, phase):
    """In the trace, the dependency's completion precedes the named phase."""
    project.packages("local.app@r1")
    project.recipe("local.tool@r1", 'install = "echo tool > tool.txt"')
    project.recipe("local.app@r1", needs("local.tool@r1", phase) + BUSY)
    run = project.envy("sync", "--jobs", "2")
    [done] = run.named("phase_complete", recipe="local.tool@r1", phase="completion")
    [start] = run.named("phase_start", recipe="local.app@r1", phase=phase)
    assert done["seq"] < start["seq"]


@pytest.mark.parametrize(
    ("phase", "before"),
    [("stage", "fetch"), ("build", "stage"), ("install", "build"), ("deploy", "install")],
)
def test_earlier_phases_overlap_with_the_dependency(project, phase, before):
    """The phase before the named one runs at the same time as the dependency's install."""
    here, there = project.root / "app.fifo", project.root / "tool.fifo"
    os.mkfifo(here)
    os.mkfifo(there)
    project.packages("local.app@r1")
    meet = "function(ctx) ctx.run([[{}; echo met > met.txt]], {{ timeout = 60 }}) end"
    project.recipe(
        "local.tool@r1", "install = " + meet.format(f"read x < {here}; echo x > {there}")
    )
    meeting = f"{before} = " + meet.format(f"echo x > {here}; read x < {there}")
    others = "\n".join(line for line in BUSY.splitlines() if not line.startswith(before))
    project.recipe("local.app@r1", needs("local.tool@r1", phase) + others + "\n" + meeting)
    project.envy("sync", "--jobs", "2")
    assert project.markers() == ["local.app@r1", "local.tool@r1"]


def test_a_waiting_phase_names_the_dependency(project):
    """A closed gate is an event that names the dependency; its opening is another event."""
    project.packages("local.app@r1")
    project.recipe("local.tool@r1", 'install = "echo tool > tool.txt"')
    project.recipe("local.app@r1", needs("local.tool@r1", "check") + BUSY)
    run = project.envy("sync")
    [blocked] = run.named("phase_blocked", recipe="local.app@r1")
    [unblocked] = run.named("phase_unblocked", recipe="local.app@r1")
    assert (blocked["phase"], blocked["waiting_for"]) == ("check", "local.tool@r1")
    assert blocked["seq"] < unblocked["seq"]


def test_the_default_is_check(project):
    """Without `needed_by`, check waits for the dependency."""
    project.packages("local.app@r1")
    project.recipe("local.tool@r1", 'install = "echo tool > tool.txt"')
    project.recipe("local.app@r1", 'dependencies = { "local.tool@r1" }\n' + BUSY)
    run = project.envy("sync", "--jobs", "2")
    [done] = run.named("phase_complete", recipe="local.tool@r1", phase="completion")
    [start] = run.named("phase_start", recipe="local.app@r1", phase="check")
    assert done["seq"] < start["seq"]
    assert run.named("dependency_added", dependency="local.tool@r1", needed_by="check")


def test_two_entries_for_one_dependency_use_the_earlier_phase(project):
    """If a dependency is declared twice, the earlier phase counts."""
    project.packages("local.app@r1")
    project.recipe("local.tool@r1", 'install = "echo tool > tool.txt"')
    project.recipe(
        "local.app@r1",
        """dependencies = {
             { recipe = "local.tool@r1", needed_by = "install" },
             { recipe = "local.tool@r1", needed_by = "stage" },
           }"""
        + BUSY,
    )
    run = project.envy("sync", "--jobs", "2")
    [done] = run.named("phase_complete", recipe="local.tool@r1", phase="completion")
    [start] = run.named("phase_start", recipe="local.app@r1", phase="stage")
    assert done["seq"] < start["seq"]


@pytest.mark.parametrize("asked_in", PHASES[1:5])
def test_an_asset_is_refused_before_its_phase(project, asked_in):
    """Before its phase, ctx.asset is an error that has the first phase in which it is available."""
    project.packages("local.app@r1")
    project.recipe("local.tool@r1", 'install = "echo tool > tool.txt"')
    others = "\n".join(line for line in BUSY.splitlines() if not line.startswith(asked_in))
    project.recipe(
        "local.app@r1",
        needs("local.tool@r1", "deploy")
        + others
        + f'\n{asked_in} = function(ctx) ctx.asset("tool") end',
    )
    run = project.envy("sync", code=1)
    assert "local.tool@r1 is available only from deploy on, and this is " + asked_in in run.err
    assert f'needed_by = "{asked_in}"' in run.err
