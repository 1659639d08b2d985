"""The environment of a project's programs, gathered from a graph."""

from dataclasses import replace

from small_graphs import edge_to, graph_of, key_of, load

from envy.answers.project_environment import OUTSIDE
from envy.declarations.spec import DependencyUse
from envy.declarations.tables import Exports
from envy.engine.project_environment import environment_of


def gathered(graph, starts, programs, *, missing=()):
    """Return the environment of some packages, whose programs are given by package and name."""
    return environment_of(
        graph,
        [key_of(name) for name in starts],
        usable=lambda recipe: recipe.key.name not in missing,
        products=lambda recipe: programs.get(recipe.key.name, {}),
    )


def provide(graph, name, *products, **exports):
    """Let a package provide some products and export something."""
    recipe = load(graph, name, provides=products)
    recipe.loaded = replace(recipe.loaded, exports=Exports(**exports))


def test_names_folders_and_variables():
    """The nearest package provides a name, comes first on PATH and decides a variable."""
    build = edge_to("z", use=DependencyUse.BUILD)
    graph = graph_of({"a": ["b", build], "b": [], "z": []})
    provide(graph, "a", "tool", env={"A": "a"})
    provide(graph, "b", "tool", "lib", env={"A": "b", "B": "b"})
    provide(graph, "z", "lib", "zig", env={"Z": "z"})
    programs = {
        "a": {"tool": "/a/bin/tool"},
        "b": {"tool": "/b/bin/tool", "lib": "/b/bin/lib"},
    }
    environment = gathered(graph, "a", programs)
    providers = {
        name: [(one.package, one.distance, one.program) for one in found]
        for name, found in environment.providers.items()
    }
    assert providers == {
        "tool": [("local.a@r1", 0, "/a/bin/tool")],
        "lib": [("local.b@r1", 1, "/b/bin/lib")],
        "zig": [("local.z@r1", OUTSIDE, "")],
    }
    assert environment.folders == {"PATH": ["/a/bin", "/b/bin"]}
    assert environment.variables == {"A": "a", "B": "b"}


def test_a_package_whose_dependency_is_missing():
    """It provides its names, which cannot be run, and neither folders nor variables."""
    graph = graph_of({"a": ["b"], "b": []})
    provide(graph, "a", "tool", env={"A": "a"})
    environment = gathered(graph, "a", {"a": {"tool": "/a/bin/tool"}}, missing="b")
    [provider] = environment.providers["tool"]
    assert (provider.usable, provider.program) == (False, "")
    assert (environment.folders, environment.variables) == ({}, {})


def test_compilers_find_libraries_and_not_what_tools_run_with():
    """A library leads to the libraries that it needs, and a tool to none."""
    graph = graph_of({"lib": ["far"], "far": [], "tool": ["own"], "own": []})
    for name in ("lib", "far", "own"):
        provide(graph, name, cmake_prefix=(f"/{name}",))
    environment = gathered(graph, ["lib", "tool"], {})
    assert environment.folders["CMAKE_PREFIX_PATH"] == ["/lib", "/far"]


def test_a_file_that_comes_first_and_is_no_product(tmp_path):
    """A product behind such a file needs a shim in front."""
    for path in ("a/first", "a/tool", "b/tool"):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).touch()
    graph = graph_of({"a": [], "b": []})
    provide(graph, "a", "first")
    provide(graph, "b", "tool")
    programs = {"a": {"first": f"{tmp_path}/a/first"}, "b": {"tool": f"{tmp_path}/b/tool"}}
    assert gathered(graph, "ab", programs).in_front == {"tool": f"{tmp_path}/b/tool"}
    assert gathered(graph, "b", programs).in_front == {}
