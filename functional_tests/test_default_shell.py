"""`default_shell`: the shell that runs scripts, which may itself be a package."""

import shutil

import pytest
from project import tree

REPORT = 'install = "echo $0 > shell"'


def with_shell(project, shell, *identities):
    """Write a manifest with a default shell."""
    rows = ", ".join(f'"{identity}"' for identity in identities)
    project.manifest(f"packages = {{ {rows} }}\ndefault_shell = {shell}\n")


@pytest.mark.parametrize(
    ("shell", "reported"),
    [
        ("ENVY_SHELL.BASH", "bash"),
        ("ENVY_SHELL.SH", "sh"),
        ('{ inline = { "sh", "-e", "-c" } }', "sh"),
        ("function() return ENVY_SHELL.SH end", "sh"),
        ('function(ctx) return { inline = { "sh", "-e", "-c" } } end', "sh"),
    ],
)
def test_a_shell_by_constant_words_or_function(project, shell, reported):
    """Each form of default_shell runs the scripts of recipes."""
    with_shell(project, shell, "local.one@r1")
    project.recipe("local.one@r1", REPORT)
    folder = project.envy("sync").folder("local.one@r1")
    assert (folder / "shell").read_text() == f"{reported}\n"


def test_without_a_default_it_is_bash(project):
    """The default is bash."""
    assert (project.make(REPORT) / "shell").read_text() == "bash\n"


def test_a_shell_that_reads_files(project):
    """A shell given by `file` and `ext` gets each script in a file with that extension."""
    with_shell(
        project, '{ file = { "sh", "-c", "cp $0 copy; echo $0" }, ext = ".x" }', "local.one@r1"
    )
    project.recipe("local.one@r1", 'install = "any text"')
    assert tree(project.envy("sync").folder("local.one@r1")) == {"copy": "any text"}


SHELL = """
install = [[ mkdir bin; printf '#!/bin/sh\\necho "by our shell: $2" > by\\n' > bin/our-shell
chmod +x bin/our-shell ]]
"""
ASKED = """function(ctx)
  return { inline = { ctx.asset("our-shell") .. "/bin/our-shell", "-c" } }
end"""


@pytest.fixture
def own_shell(project):
    """A project whose shell is a package that another package builds."""
    with_shell(project, ASKED, "local.one@r1", "local.our-shell@r1")
    project.recipe("local.one@r1", 'install = "do it"')
    project.recipe("local.helper@r1", 'install = "echo helper > helper"')
    project.recipe(
        "local.our-shell@r1",
        'dependencies = { { recipe = "local.helper@r1", use = "build" } }' + SHELL,
    )
    return project


def test_a_shell_that_is_a_package(own_shell):
    """ctx.asset returns the future path of the shell, and packages with scripts wait for it."""
    run = own_shell.envy("sync", "--jobs", "2")
    assert tree(run.folder("local.one@r1")) == {"by": "by our shell: do it\n"}
    [built] = run.named("phase_complete", recipe="local.our-shell@r1", phase="completion")
    [start] = run.named("phase_start", recipe="local.one@r1", phase="check")
    assert built["seq"] < start["seq"]


def test_the_shell_and_its_dependencies_use_the_built_in_shell(own_shell):
    """The shell and its dependencies do not wait for the shell."""
    run = own_shell.envy("sync")
    assert tree(run.folder("local.helper@r1")) == {"helper": "helper\n"}


def test_a_shell_that_is_a_package_is_only_a_build_dependency(own_shell):
    """A cached package does not reinstall the shell, and a query installs no other package."""
    own_shell.envy("sync")
    for name, entry in own_shell.entries():
        if name != "local.one@r1":
            shutil.rmtree(entry)
    own_shell.envy("asset", "one")
    assert own_shell.markers() == ["local.one@r1"]


def test_another_shell_package_rebuilds_what_it_runs(own_shell):
    """The shell is part of the keys of packages with scripts."""
    own_shell.envy("sync")
    text = (own_shell.root / "recipes/local.our-shell@r1.lua").read_text()
    own_shell.write("recipes/local.our-shell@r1.lua", text.replace("by our", "by another"))
    run = own_shell.envy("sync")
    assert tree(run.folder("local.one@r1")) == {"by": "by another shell: do it\n"}


@pytest.mark.parametrize(
    ("shell", "message"),
    [
        ('"zsh"', "'zsh' is not a shell"),
        ("{ inline = { } }", "shell"),
        ('{ file = "x", inline = { "y" } }', "either `inline`"),
        ("{ command = { 'x' } }", "'command'"),
        ("1", "`default_shell` must be a constant, a table or a function"),
        ("function() end", "is not a shell"),
        ("function(ctx) ctx.asset('none') end", "none"),
        ("function() error('no reason') end", "no reason"),
    ],
)
def test_an_invalid_shell_is_an_error(project, shell, message):
    """An invalid default_shell is an error before anything is installed."""
    with_shell(project, shell, "local.one@r1")
    project.recipe("local.one@r1", REPORT)
    run = project.envy("sync", code=1)
    assert message in run.err
    assert "bug in envy" not in run.err
    assert project.entries() == []
