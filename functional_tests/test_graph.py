"""`envy graph` and `envy why`: what needs what, and why a package is there at all."""

import json
import xml.etree.ElementTree as ET

TOOL = 'install = "echo tool > tool.txt"\n'
APP = (
    "dependencies = {\n"
    '  { recipe = "ninja", weak = { recipe = "local.ninja@r1" }, needed_by = "build", '
    'use = "build" },\n'
    '  { recipe = "local.lib@r1" },\n}\n' + TOOL
)
LIB = 'dependencies = { { recipe = "cmake" } }\n' + TOOL
VENDOR = """{ recipe = "local.vendor@v1", source = {
    dependencies = { "local.getter@r1" },
    fetch = function(ctx)
      ctx.write("recipe.lua", [[identity = "local.vendor@v1"; install = "touch x"]])
      ctx.commit_fetch("recipe.lua")
    end } }"""


def example(project, *entries):
    """A project with an edge of most kinds."""
    packages = ['"local.app@r1"', '"local.cmake@r1"', *entries]
    project.manifest("packages = {\n  " + ",\n  ".join(packages) + " }")
    project.recipe("local.app@r1", APP)
    project.recipe("local.lib@r1", LIB)
    for name in ("cmake", "ninja", "getter"):
        project.recipe(f"local.{name}@r1", TOOL)
    project.recipe("local.ninja@r2", TOOL)


def test_the_tree_is_the_default(project):
    """Each package with its state, each edge with its kind; nothing is installed for it."""
    example(project)
    assert project.envy("graph").out == (
        "local.app@r1 [not installed]\n"
        "├── local.lib@r1 [not installed] (strong)\n"
        "│   └── local.cmake@r1 [not installed] (required cmake)\n"
        "└── local.ninja@r1 [not installed] (weak ninja, fallback, by build, use build)\n"
        "local.cmake@r1 [not installed]\n"
    )
    assert project.markers() == []


def test_what_is_installed_is_marked(project):
    """After an install, the packages that are there are told from those that are not."""
    example(project)
    project.envy("sync", "lib")
    rows = json.loads(project.envy("graph", "--format", "json").out)["packages"]
    assert [row["identity"] for row in rows if row["cached"]] == ["local.cmake@r1", "local.lib@r1"]


def test_a_query_narrows_it_down(project):
    """Only the packages asked for, and what they need."""
    example(project)
    assert project.envy("graph", "lib").out == (
        "local.lib@r1 [not installed]\n└── local.cmake@r1 [not installed] (required cmake)\n"
    )


def test_the_tools_of_a_custom_source_are_shown(project):
    """With --no-install a held package says what it waits for; otherwise its tools are brought."""
    example(project, VENDOR)
    run = project.envy("graph", "--no-install", "vendor")
    assert run.out == (
        "local.vendor@v1 [held; phase none; custom source]\n"
        "└── local.getter@r1 [not installed] (source)\n"
    )
    assert "its source needs local.getter@r1 before it can be fetched" in run.err
    assert project.markers() == []
    assert project.envy("graph", "vendor").out == (
        "local.vendor@v1 [not installed; custom source]\n"
        "└── local.getter@r1 [cached; phase completion] (source)\n"
    )


def test_a_picture_is_written_to_a_file(project):
    """The name of the file says the format; the same graph gives the same bytes."""
    example(project)
    project.envy("graph", "-o", "graph.svg")
    picture = (project.root / "graph.svg").read_bytes()
    assert ET.fromstring(picture).get("role") == "img"
    project.envy("graph", "--format", "svg", "--output", "other", "--jobs", "4")
    assert (project.root / "other").read_bytes() == picture


def test_a_failed_recipe_is_in_the_graph(project):
    """What could be read is shown; what could not is told, with exit code 1."""
    project.packages("local.bad@r1", "local.good@r1")
    project.recipe("local.bad@r1", "this is not lua")
    project.recipe("local.good@r1", TOOL)
    run = project.envy("graph", code=1)
    assert "local.bad@r1 [failed; phase none]\nlocal.good@r1 [not installed]\n" in run.out
    assert "local.bad@r1: recipe_fetch failed" in run.err


def test_why_tells_every_way(project):
    """The shortest first, each step with its kind and its place."""
    example(project)
    assert project.envy("why", "cmake").out == (
        "local.cmake@r1 (not installed)\n\n"
        "  envy.lua:3 asks for local.cmake@r1\n\n"
        "  envy.lua:2 asks for local.app@r1\n"
        "    local.app@r1 needs local.lib@r1: strong (recipes/local.app@r1.lua:4)\n"
        "    local.lib@r1 needs local.cmake@r1: required cmake (recipes/local.lib@r1.lua:2)\n\n"
        "  local.lib@r1 looked for 'cmake' (recipes/local.lib@r1.lua:2): "
        "this is the one package that answers\n"
    )


def test_why_is_bounded(project):
    """No more ways than asked for, and how many more there are."""
    example(project)
    out = project.envy("why", "cmake", "--limit", "1").out
    assert out.count("asks for") == 1
    assert "and 1 more ways; --limit N shows more" in out


def test_why_tells_who_took_a_fallback(project):
    """Nothing answered: the fallback was taken."""
    example(project)
    assert (
        "local.app@r1 looked for 'ninja' (recipes/local.app@r1.lua:3): "
        "nothing in the graph answered, so its fallback was taken"
    ) in project.envy("why", "ninja").out


def test_why_tells_who_needed_no_fallback(project):
    """Something answered: who chose it, and which fallback was left alone."""
    example(project, '"local.ninja@r2"')
    assert "this answers, so its fallback local.ninja@r1 was not needed" in (
        project.envy("why", "ninja").out
    )
    said = project.envy("why", "ninja@r1", code=1).err
    assert "local.ninja@r1 is not in the graph: local.app@r1 has it as the fallback" in said
    assert "and took local.ninja@r2" in said


def test_why_of_an_unknown_package(project):
    """The error is that of other commands."""
    example(project)
    assert "no package answers to 'cmaek'; did you mean cmake?" in (
        project.envy("why", "cmaek", code=1).err
    )
