"""What rebuilds a package, and what does not: everything that goes into its key, and nothing else.

`subject` uses every kind of ingredient; `top` depends on it, it depends on `base`, and `apart` has
nothing to do with either.
"""

import os

import pytest

PACKAGES = ("local.apart@r1", "local.base@r1", "local.subject@r1", "local.top@r1")

SUBJECT = """
options = {
  level = { type = "string", default = "low" },
  width = { type = "integer", default = 1 },
}
dependencies = { "local.base@r1" }
inputs = { "inputs/*.txt", "input_tree" }
host = { tool = "tool --version" }
pass_env = { "PASSED" }
fetch = { "source.txt", "source_tree", "../vendored.txt" }
local module = require("module")
local settings = envy.loadenv("settings")
local more = dofile("more.lua")
local file = io.open("read.txt")
local read = file:read("a")
file:close()
local outside = io.open("../outside.txt"):read("a")
local missing = io.open("missing.txt")
local variable = os.getenv("READ_WHILE_LOADING")
install = "echo subject > subject.txt"
"""


@pytest.fixture
def matrix(project, tmp_path):
    """The project with all its ingredients, synced once."""
    project.packages(*PACKAGES)
    project.recipe("local.apart@r1", 'install = "echo apart > apart.txt"')
    project.recipe("local.base@r1", 'install = "echo base > base.txt"')
    project.recipe("local.subject@r1", SUBJECT)
    project.recipe(
        "local.top@r1",
        'dependencies = { "local.subject@r1" }\ninstall = "echo top > top.txt"',
    )
    for name in (
        *("inputs/a.txt", "input_tree/deep/b.txt", "read.txt", "source.txt"),
        *("source_tree/deep/c.txt", "../vendored.txt", "../outside.txt"),
    ):
        project.write(f"recipes/{name}", "before\n")
    project.write("recipes/module.lua", "return { answer = 1 }")
    project.write("recipes/settings.lua", "answer = 1")
    project.write("recipes/more.lua", "return 1")
    (tmp_path / "bin").mkdir()
    write_tool(tmp_path, "1.0")
    sync(project)
    return project


def write_tool(folder, version):
    """A program of the machine that tells its version."""
    tool = folder / "bin" / "tool"
    tool.write_text(f"#!/bin/sh\necho {version}\n")
    tool.chmod(0o755)


def sync(project, **variables):
    """Sync, with the tool on PATH; returns the short names of what was installed."""
    path = f"{project.cache.parent / 'bin'}{os.pathsep}{os.environ['PATH']}"
    before = {"PATH": path, "PASSED": "before", "READ_WHILE_LOADING": "before"}
    run = project.envy("sync", env=before | variables)
    installed = run.named("recipe_complete", outcome="installed")
    return {event["recipe"].split(".")[1].split("@")[0] for event in installed}


def append(project, name, text):
    """Edit a file beside the recipes."""
    path = project.root / "recipes" / name
    path.write_text(path.read_text() + text)


@pytest.mark.parametrize(
    "name",
    [
        "local.subject@r1.lua",
        "module.lua",
        "settings.lua",
        "more.lua",
        "read.txt",
        "../outside.txt",
        "inputs/a.txt",
        "input_tree/deep/b.txt",
        "source.txt",
        "source_tree/deep/c.txt",
        "../vendored.txt",
    ],
)
def test_editing_what_it_is_made_of_rebuilds_it_and_its_dependents(matrix, name):
    """An edit of the recipe, or of a file that it reads, rebuilds it and what depends on it."""
    append(matrix, name, "\n-- after\n")
    assert sync(matrix) == {"subject", "top"}


@pytest.mark.parametrize(
    "name", ["inputs/new.txt", "input_tree/new.txt", "source_tree/new.txt", "missing.txt"]
)
def test_a_new_file_where_it_looks_rebuilds_it(matrix, name):
    """A file that joins an input, or that was looked for in vain before, is a change."""
    matrix.write(f"recipes/{name}", "new\n")
    assert sync(matrix) == {"subject", "top"}


@pytest.mark.parametrize("name", ["inputs/a.txt", "source_tree/deep/c.txt"])
def test_the_executable_bit_of_a_file_is_part_of_it(matrix, name):
    """Making an input or a source executable rebuilds what it goes into."""
    (matrix.root / "recipes" / name).chmod(0o755)
    assert sync(matrix) == {"subject", "top"}


def test_another_option_default_rebuilds(matrix):
    """An option's default is part of the key as if it had been asked for."""
    path = matrix.root / "recipes" / "local.subject@r1.lua"
    path.write_text(path.read_text().replace('"low"', '"high"'))
    assert sync(matrix) == {"subject", "top"}


@pytest.mark.parametrize("name", ["PASSED", "READ_WHILE_LOADING"])
def test_a_variable_that_it_uses_rebuilds(matrix, name):
    """A value of pass_env, and a variable that was read while loading, are ingredients."""
    assert sync(matrix, **{name: "after"}) == {"subject", "top"}
    assert sync(matrix) == set()


def test_a_variable_that_it_does_not_use_rebuilds_nothing(matrix):
    """The rest of the environment is no ingredient."""
    assert sync(matrix, UNRELATED="after") == set()


def test_another_version_of_a_host_program_rebuilds(matrix, tmp_path):
    """A program of the machine that tells another version is another ingredient."""
    write_tool(tmp_path, "2.0")
    assert sync(matrix) == {"subject", "top"}


def test_a_dependency_rebuilds_what_depends_on_it(matrix):
    """An edited recipe rebuilds its dependents, and theirs."""
    append(matrix, "local.base@r1.lua", "-- after\n")
    assert sync(matrix) == {"base", "subject", "top"}


def test_a_leaf_rebuilds_alone(matrix):
    """What nobody depends on is rebuilt alone."""
    append(matrix, "local.top@r1.lua", "-- after\n")
    assert sync(matrix) == {"top"}


def test_going_back_finds_what_was_built_before(matrix):
    """An edit that is undone gives the old key, whose entry is still there."""
    path = matrix.root / "recipes" / "local.subject@r1.lua"
    before = path.read_text()
    append(matrix, "local.subject@r1.lua", "-- after\n")
    assert sync(matrix) == {"subject", "top"}
    path.write_text(before)
    assert sync(matrix) == set()


def test_touching_files_rebuilds_nothing(matrix, tmp_path):
    """Times of files are no ingredient."""
    for path in [*matrix.root.rglob("*"), tmp_path / "bin" / "tool"]:
        os.utime(path, (1_000_000_000, 1_000_000_000))
    assert sync(matrix) == set()


def test_moving_the_project_rebuilds_nothing(matrix, tmp_path):
    """A project finds its packages again from another folder."""
    moved = tmp_path / "elsewhere" / "deeper"
    moved.parent.mkdir()
    matrix.root.rename(moved)
    matrix.root = moved
    assert sync(matrix) == set()


def test_the_order_of_options_rebuilds_nothing(matrix):
    """Options are sorted by name, however the manifest orders them."""
    entry = 'packages = {{ {{ recipe = "local.subject@r1", options = {{ {} }} }} }}'
    matrix.manifest(entry.format('level = "high", width = 2'))
    assert sync(matrix) == {"subject"}
    matrix.manifest(entry.format('width = 2, level = "high"'))
    assert sync(matrix) == set()


def test_saying_the_default_finds_what_was_built_without(matrix):
    """A default that is asked for is the same as one that is filled in."""
    matrix.manifest(
        'packages = { { recipe = "local.subject@r1", options = { level = "low" } } }',
    )
    assert sync(matrix) == set()


def test_editing_the_manifest_rebuilds_nothing(matrix):
    """The manifest's text is no ingredient of what it lists."""
    matrix.write("envy.lua", (matrix.root / "envy.lua").read_text() + "-- after\n")
    assert sync(matrix) == set()


def test_another_default_shell_rebuilds_what_has_scripts(matrix):
    """The shell that scripts are written for is an ingredient of every recipe with one."""
    matrix.write(
        "envy.lua", (matrix.root / "envy.lua").read_text() + "default_shell = ENVY_SHELL.SH"
    )
    assert sync(matrix) == {"apart", "base", "subject", "top"}
