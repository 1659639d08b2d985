"""What rebuilds a package: every part of its key, and nothing else.

`subject` uses every kind of ingredient. `top` depends on `subject`, which depends on `base`;
`apart` is independent of them.
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
    """A project with every kind of ingredient, synced once."""
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
    """Write a host program that prints its version."""
    tool = folder / "bin" / "tool"
    tool.write_text(f"#!/bin/sh\necho {version}\n")
    tool.chmod(0o755)


def sync(project, **variables):
    """Sync with the tool on PATH; return the short names of the installed packages."""
    path = f"{project.cache.parent / 'bin'}{os.pathsep}{os.environ['PATH']}"
    before = {"PATH": path, "PASSED": "before", "READ_WHILE_LOADING": "before"}
    run = project.envy("sync", env=before | variables)
    installed = run.named("recipe_complete", outcome="installed")
    return {event["recipe"].split(".")[1].split("@")[0] for event in installed}


def append(project, name, text):
    """Append a text to a file beside the recipes."""
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
def test_an_edited_ingredient_rebuilds_a_package_and_its_dependents(matrix, name):
    """An edit of the recipe, or of a file that it reads, rebuilds it and its dependents."""
    append(matrix, name, "\n-- after\n")
    assert sync(matrix) == {"subject", "top"}


@pytest.mark.parametrize(
    "name", ["inputs/new.txt", "input_tree/new.txt", "source_tree/new.txt", "missing.txt"]
)
def test_a_new_file_rebuilds(matrix, name):
    """A new file in an input, or one that was missing while loading, causes a rebuild."""
    matrix.write(f"recipes/{name}", "new\n")
    assert sync(matrix) == {"subject", "top"}


@pytest.mark.parametrize("name", ["inputs/a.txt", "source_tree/deep/c.txt"])
def test_the_executable_bit_of_a_file_rebuilds(matrix, name):
    """Making an input or a source executable causes a rebuild."""
    (matrix.root / "recipes" / name).chmod(0o755)
    assert sync(matrix) == {"subject", "top"}


def test_another_option_default_rebuilds(matrix):
    """A changed default of an option causes a rebuild."""
    path = matrix.root / "recipes" / "local.subject@r1.lua"
    path.write_text(path.read_text().replace('"low"', '"high"'))
    assert sync(matrix) == {"subject", "top"}


@pytest.mark.parametrize("name", ["PASSED", "READ_WHILE_LOADING"])
def test_a_used_variable_rebuilds(matrix, name):
    """A changed variable of pass_env, or one that was read while loading, causes a rebuild."""
    assert sync(matrix, **{name: "after"}) == {"subject", "top"}
    assert sync(matrix) == set()


def test_an_unused_variable_rebuilds_nothing(matrix):
    """Other variables do not cause a rebuild."""
    assert sync(matrix, UNRELATED="after") == set()


def test_another_version_of_a_host_program_rebuilds(matrix, tmp_path):
    """A new version of a host program causes a rebuild."""
    write_tool(tmp_path, "2.0")
    assert sync(matrix) == {"subject", "top"}


def test_a_dependency_rebuilds_its_dependents(matrix):
    """An edited recipe rebuilds its direct and indirect dependents."""
    append(matrix, "local.base@r1.lua", "-- after\n")
    assert sync(matrix) == {"base", "subject", "top"}


def test_a_leaf_rebuilds_alone(matrix):
    """A package without dependents is rebuilt alone."""
    append(matrix, "local.top@r1.lua", "-- after\n")
    assert sync(matrix) == {"top"}


def test_an_undone_edit_rebuilds_nothing(matrix):
    """An undone edit has the old key, whose entry still exists."""
    path = matrix.root / "recipes" / "local.subject@r1.lua"
    before = path.read_text()
    append(matrix, "local.subject@r1.lua", "-- after\n")
    assert sync(matrix) == {"subject", "top"}
    path.write_text(before)
    assert sync(matrix) == set()


def test_touching_files_rebuilds_nothing(matrix, tmp_path):
    """The times of files are not part of a key."""
    for path in [*matrix.root.rglob("*"), tmp_path / "bin" / "tool"]:
        os.utime(path, (1_000_000_000, 1_000_000_000))
    assert sync(matrix) == set()


def test_moving_the_project_rebuilds_nothing(matrix, tmp_path):
    """A moved project finds its packages."""
    moved = tmp_path / "elsewhere" / "deeper"
    moved.parent.mkdir()
    matrix.root.rename(moved)
    matrix.root = moved
    assert sync(matrix) == set()


def test_the_order_of_options_rebuilds_nothing(matrix):
    """The order of options in the manifest is not part of a key."""
    entry = 'packages = {{ {{ recipe = "local.subject@r1", options = {{ {} }} }} }}'
    matrix.manifest(entry.format('level = "high", width = 2'))
    assert sync(matrix) == {"subject"}
    matrix.manifest(entry.format('width = 2, level = "high"'))
    assert sync(matrix) == set()


def test_setting_an_option_to_its_default_rebuilds_nothing(matrix):
    """An option set to its default has the same key as without the option."""
    matrix.manifest(
        'packages = { { recipe = "local.subject@r1", options = { level = "low" } } }',
    )
    assert sync(matrix) == set()


def test_editing_the_manifest_rebuilds_nothing(matrix):
    """The text of the manifest is not part of a key."""
    matrix.write("envy.lua", (matrix.root / "envy.lua").read_text() + "-- after\n")
    assert sync(matrix) == set()


def test_another_default_shell_rebuilds_packages_with_scripts(matrix):
    """The default shell is part of the key of every recipe with a script."""
    matrix.write(
        "envy.lua", (matrix.root / "envy.lua").read_text() + "default_shell = ENVY_SHELL.SH"
    )
    assert sync(matrix) == {"apart", "base", "subject", "top"}
