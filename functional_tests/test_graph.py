"""`envy graph` and `envy why`: the dependency graph, and why a package is in it."""

import json
import resource
import xml.etree.ElementTree as ET

import networkx as nx
import pytest

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
    """Each package is shown with its state, each edge with its kind; nothing is installed."""
    example(project)
    assert project.envy("graph").out == (
        "local.app@r1 [not installed]\n"
        "├── local.lib@r1 [not installed] (strong)\n"
        "│   └── local.cmake@r1 [not installed] (required cmake)\n"
        "└── local.ninja@r1 [not installed] (weak ninja, fallback, by build, use build)\n"
        "local.cmake@r1 [not installed]\n"
    )
    assert project.markers() == []


def test_installed_packages_are_marked(project):
    """After an install, installed packages are marked as cached."""
    example(project)
    project.envy("sync", "lib")
    rows = json.loads(project.envy("graph", "--format", "json").out)["packages"]
    assert [row["identity"] for row in rows if row["cached"]] == ["local.cmake@r1", "local.lib@r1"]


def test_a_package_that_failed_is_shown_as_failed(project):
    """After a sync that failed, the graph names the failed package and why; its dependents wait."""
    project.packages("local.app@r1")
    project.recipe("local.app@r1", 'dependencies = { "local.lib@r1" }\n' + TOOL)
    project.recipe("local.lib@r1", 'build = "exit 3"\n' + TOOL)
    project.envy("sync", code=1)
    tree = project.envy("graph").out
    assert tree == "local.app@r1 [not installed]\n└── local.lib@r1 [failed] (strong)\n"
    rows = json.loads(project.envy("graph", "lib", "--format", "json").out)["packages"]
    assert [row["state"] for row in rows] == ["failed"]
    assert rows[0]["reason"] == "build failed: script exited 3: exit 3"
    assert "  build failed: script exited 3: exit 3\n" in project.envy("why", "lib").out
    project.recipe("local.lib@r1", TOOL)
    project.envy("sync")
    assert "failed" not in project.envy("graph").out


def test_a_query_limits_the_graph(project):
    """Only the requested packages and their dependencies are shown."""
    example(project)
    assert project.envy("graph", "lib").out == (
        "local.lib@r1 [not installed]\n└── local.cmake@r1 [not installed] (required cmake)\n"
    )


def test_the_tools_of_a_custom_source_are_shown(project):
    """With --no-install a held package says what it waits for; else its tools are installed."""
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
    """The file name decides the format; the same graph gives the same bytes."""
    example(project)
    project.envy("graph", "-o", "graph.svg")
    picture = (project.root / "graph.svg").read_bytes()
    assert ET.fromstring(picture).get("role") == "img"
    project.envy("graph", "--format", "svg", "--output", "other", "--jobs", "4")
    assert (project.root / "other").read_bytes() == picture


def test_a_failed_recipe_is_in_the_graph(project):
    """Readable recipes are shown; the failure is reported with exit code 1."""
    project.packages("local.bad@r1", "local.good@r1")
    project.recipe("local.bad@r1", "this is not lua")
    project.recipe("local.good@r1", TOOL)
    run = project.envy("graph", code=1)
    assert "local.bad@r1 [failed; phase none]\nlocal.good@r1 [not installed]\n" in run.out
    assert "local.bad@r1: recipe_fetch failed" in run.err


DIAMOND = {
    "local.app@r1": 'dependencies = { "local.lib@r1", "local.doc@r1", "local.zlib@r1" }\n' + TOOL,
    "local.doc@r1": 'dependencies = { "local.zlib@r1" }\n' + TOOL,
    "local.lib@r1": 'dependencies = { "local.zlib@r1" }\ninstall = "touch lib"',
    "local.zlib@r1": TOOL,
}


@pytest.fixture
def diamond(project):
    """A project with one dependency that others imply, and one package that takes long."""
    project.packages("local.app@r1")
    for identity, body in DIAMOND.items():
        project.recipe(identity, body)
    return project


def test_graphml_is_read_by_networkx(project):
    """The suffix .graphml is enough; packages and edges keep their attributes."""
    example(project)
    project.envy("sync", "lib")
    project.envy("graph", "-o", "graph.graphml")
    drawn = nx.read_graphml(project.root / "graph.graphml")
    assert {row["identity"] for _, row in drawn.nodes(data=True) if row["cached"]} == {
        "local.cmake@r1",
        "local.lib@r1",
    }
    assert drawn.nodes["local.app@r1"]["state"] == "missing"
    edge = drawn.edges["local.app@r1", "local.ninja@r1"]
    assert (edge["kind"], edge["needed_by"], edge["use"]) == ("weak", "build", "build")


def test_reduced_omits_implied_dependencies(diamond):
    """A dependency that two longer paths imply is left out, in every format."""
    assert diamond.envy("graph", "--reduce").out == (
        "local.app@r1 [not installed]\n"
        "├── local.doc@r1 [not installed] (strong)\n"
        "│   └── local.zlib@r1 [not installed] (strong)\n"
        "└── local.lib@r1 [not installed] (strong)\n"
        "    └── local.zlib@r1 [not installed] (strong)\n"
    )
    rows = json.loads(diamond.envy("graph", "--reduce", "--format", "json").out)["packages"]
    full = nx.parse_graphml(diamond.envy("graph", "--format", "graphml").out)
    expected = set(nx.transitive_reduction(nx.DiGraph(full)).edges)
    assert {(row["key"], edge["target"]) for row in rows for edge in row["edges"]} == expected
    assert len(full.edges) == len(expected) + 1


def set_durations(project, seconds):
    """Let the last run have taken so many seconds for the install of these packages."""
    [path] = (project.cache / "durations").iterdir()
    record = json.loads(path.read_text())
    for package, duration in seconds.items():
        record["rows"][package][0][2] = [0, 0, 0, duration]
    path.write_text(json.dumps(record))


def test_the_critical_path_uses_durations_of_earlier_runs(diamond):
    """The slowest path is marked, even when everything is installed."""
    diamond.envy("sync")
    set_durations(diamond, {"local.zlib@r1": 1, "local.lib@r1": 40, "local.app@r1": 20})
    run = diamond.envy("graph", "--critical", "--format", "json")
    assert run.err == ""
    path = json.loads(run.out)["critical_path"]
    assert [step["key"] for step in path["steps"]] == [
        "local.zlib@r1",
        "local.lib@r1",
        "local.app@r1",
    ]
    assert path["steps"][1]["seconds"] >= 40
    assert path["unit"] == "seconds"
    tree = diamond.envy("graph", "--critical").out
    assert "local.lib@r1 [cached; critical 4" in tree
    assert "local.doc@r1 [cached] (strong)" in tree


def test_without_stored_durations_phases_count_equally(diamond):
    """One line on standard error says so; standard output holds only the graph."""
    run = diamond.envy("graph", "--critical", "--reduce")
    assert run.err == (
        "note: no durations of these packages are remembered yet, so --critical counts every phase "
        "alike; envy sync remembers them\n"
    )
    assert "\ncritical path: 3 phases through 3 packages:\n" in run.out
    assert diamond.markers() == []


def test_the_critical_path_of_a_query_counts_shown_packages(diamond):
    """Packages that are not shown are not counted."""
    out = diamond.envy("graph", "doc", "--critical").out
    assert "critical path: 2 phases through 2 packages:" in out


@pytest.mark.parametrize(
    ("words", "err"),
    [
        (("--format", "svg", "-o", "graph.json"), "--format svg does not go with --output"),
        (("-o", "graph.png"), "envy does not write PNG files"),
        (("--format", "pdf"), "'pdf' is not one of 'tree', 'json', 'dot', 'mermaid', 'svg', "),
    ],
    ids=lambda words: " ".join(words) if isinstance(words, tuple) else "",
)
def test_an_invalid_output_is_reported_at_once(project, words, err):
    """The error comes before the manifest is read, and nothing is written."""
    assert err in project.envy("graph", *words, code=2, trace=False).err
    assert list(project.root.iterdir()) == []


def test_an_unknown_query_has_the_error_of_other_commands(diamond):
    """The error suggests the name that was probably meant."""
    for words in ((), ("--reduce", "--critical"), ("--format", "graphml")):
        err = diamond.envy("graph", "zlbi", *words, code=1).err
        assert "no package answers to 'zlbi'" in err
        assert "zlib" in err


def test_a_cycle_is_reported_whatever_is_requested(project):
    """The error shows the path of the cycle, never an error of networkx."""
    project.packages("local.a@r1")
    project.recipe("local.a@r1", 'dependencies = { "local.b@r1" }\n' + TOOL)
    project.recipe("local.b@r1", 'dependencies = { "local.a@r1" }\n' + TOOL)
    for words in ((), ("--reduce",), ("--critical",), ("--format", "graphml")):
        run = project.envy("graph", *words, code=1)
        assert "dependency cycle: local.a@r1 → local.b@r1 → local.a@r1" in run.err
        assert (run.out, "networkx" in run.err) == ("", False)


def test_a_graph_of_five_hundred_packages_is_quick(project):
    """Ten layers of fifty packages, each needing three of each of the next two layers."""
    layers = [[f"local.p{depth}-{number}@r1" for number in range(50)] for depth in range(10)]
    project.packages(*layers[0])
    for depth, layer in enumerate(layers):
        for number, identity in enumerate(layer):
            needed = [
                f'"{below[(number * 7 + step) % 50]}"'
                for below in layers[depth + 1 : depth + 3]
                for step in range(3)
            ]
            project.recipe(identity, f"dependencies = {{ {', '.join(needed)} }}\n" + TOOL)
    plain = cpu_seconds_of(project, "-o", "plain.json")
    whole = cpu_seconds_of(project, "--reduce", "--critical", "-o", "whole.graphml")
    assert len(nx.read_graphml(project.root / "whole.graphml")) == 500
    assert whole < 3 * plain + 3


def cpu_seconds_of(project, *words):
    """The CPU seconds that `envy graph` takes, however busy the machine is."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    run = project.popen("graph", *words)
    _, err = run.communicate()
    assert run.returncode == 0, err
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def test_why_shows_every_path(project):
    """The shortest path comes first; each step has its kind and location."""
    example(project)
    assert project.envy("why", "cmake").out == (
        "local.cmake@r1 (not installed)\n\n"
        "  envy.lua:3 requests local.cmake@r1\n\n"
        "  envy.lua:2 requests local.app@r1\n"
        "    local.app@r1 needs local.lib@r1: strong (recipes/local.app@r1.lua:4)\n"
        "    local.lib@r1 needs local.cmake@r1: required cmake (recipes/local.lib@r1.lua:2)\n\n"
        "  local.lib@r1 searched for 'cmake' (recipes/local.lib@r1.lua:2): "
        "this is the only package that matches\n"
    )


def test_why_is_bounded(project):
    """No more paths are shown than requested, and the rest are counted."""
    example(project)
    out = project.envy("why", "cmake", "--limit", "1").out
    assert out.count("requests") == 1
    assert "and 1 more path; --limit N shows more" in out


def test_why_explains_a_fallback(project):
    """Nothing matched, so the fallback was used."""
    example(project)
    assert (
        "local.app@r1 searched for 'ninja' (recipes/local.app@r1.lua:3): "
        "nothing in the graph matched, so its fallback was used"
    ) in project.envy("why", "ninja").out


def test_why_explains_an_unused_fallback(project):
    """Another package matched: the output names it and the fallback that was not needed."""
    example(project, '"local.ninja@r2"')
    assert "this package matches, so its fallback local.ninja@r1 was not needed" in (
        project.envy("why", "ninja").out
    )
    err = project.envy("why", "ninja@r1", code=1).err
    assert "local.ninja@r1 is not in the graph: local.app@r1 has it as the fallback" in err
    assert "but local.ninja@r2 matches" in err


def test_why_of_an_unknown_package(project):
    """The error is the same as in other commands."""
    example(project)
    assert "no package answers to 'cmaek'; did you mean cmake?" in (
        project.envy("why", "cmaek", code=1).err
    )
