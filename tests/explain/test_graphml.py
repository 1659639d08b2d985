"""The graph as GraphML, read back with networkx."""

import dataclasses
import xml.etree.ElementTree as ET

import networkx as nx
from views import edge, graph, package

from envy.explain.graphml import as_graphml
from envy.explain.view import CriticalPath, State

NAMESPACE = "{http://graphml.graphdrawing.org/xmlns}"
APP, LIB = 'l.app@r1{mode="fast"}', "l.lib@r1"
WEAK = edge(LIB, kind="weak", looked_for="lib", by_fallback=True, needed_by="build", use="build")
SOURCE = edge(LIB, of_source=True, needed_by="recipe_fetch", product="bin/lib")
SHOWN = graph(
    package(APP, SOURCE, WEAK, is_root=True, aliases=("app", "main"), options={"mode": "fast"}),
    package(LIB, state=State.CACHED, phase="completion", products=("a", "b")),
    roots=[APP],
)


def read(shown):
    """Return the graph as networkx reads it."""
    return nx.parse_graphml(as_graphml(shown))


def test_packages_are_read_back_with_their_attributes():
    """A node is named by its canonical key, and has the state of its package."""
    drawn = read(SHOWN)
    assert set(drawn) == {APP, LIB}
    assert drawn.nodes[APP] == {
        "key": APP,
        "identity": "l.app@r1",
        "options": '{"mode": "fast"}',
        "aliases": "app, main",
        "state": "missing",
        "cached": False,
        "phase": "recipe_fetch",
        "user_managed": False,
        "custom_source": False,
        "bundle": "",
        "is_root": True,
        "entry_key": "",
        "asset_dir": "",
        "products": "",
        "origin": "envy.lua:1",
        "reason": "",
    }
    assert (drawn.nodes[LIB]["cached"], drawn.nodes[LIB]["products"]) == (True, "a, b")
    assert drawn.graph["platform"] == "linux-x86_64"


def test_edges_are_read_back_with_their_attributes():
    """Two edges between the same packages stay two edges."""
    rows = read(SHOWN).get_edge_data(APP, LIB)
    assert list(rows) == ["e0", "e1"]
    assert rows["e1"] == {
        "kind": "weak",
        "of_source": False,
        "needed_by": "build",
        "use": "build",
        "product": "",
        "looked_for": "lib",
        "by_fallback": True,
        "origin": "envy.lua:1",
    }
    assert rows["e0"]["product"] == "bin/lib"


def test_the_critical_path_is_an_attribute():
    """Nodes and edges on the path have an attribute, and the graph has the total."""
    path = CriticalPath(
        amounts={LIB: 2.0, APP: 0.5}, edges=frozenset({(APP, WEAK)}), is_measured=True
    )
    drawn = read(dataclasses.replace(SHOWN, critical=path))
    assert drawn.graph["critical_total"] == 2.5
    assert drawn.graph["critical_unit"] == "seconds"
    assert dict(drawn.nodes(data="critical_amount")) == {APP: 0.5, LIB: 2.0}
    assert [row["critical"] for row in drawn.get_edge_data(APP, LIB).values()] == [False, True]


def test_the_document_follows_the_schema():
    """Booleans are spelled as in XML, edges have ids, and every attribute has a name."""
    root = ET.fromstring(as_graphml(SHOWN))
    types = {key.get("id"): key.get("attr.type") for key in root.iter(f"{NAMESPACE}key")}
    values = {types[data.get("key")]: set() for data in root.iter(f"{NAMESPACE}data")}
    for data in root.iter(f"{NAMESPACE}data"):
        values[types[data.get("key")]].add(data.text)
    assert values["boolean"] == {"true", "false"}
    ids = [row.get("id") for row in root.iter(f"{NAMESPACE}edge")]
    assert len(ids) == len(set(ids)) == 2


def test_a_text_that_looks_like_a_boolean_stays():
    """Only the spelling of booleans is changed, not that of text."""
    shown = graph(package(LIB, aliases=("True",)), roots=[LIB])
    assert read(shown).nodes[LIB]["aliases"] == "True"


def test_control_characters_are_spelled_out():
    """XML cannot contain control characters, so they are replaced by text."""
    shown = graph(package(LIB, reason="a \x1b[31m <b> & ü"), roots=[LIB])
    assert read(shown).nodes[LIB]["reason"] == "a \\x1b[31m <b> & ü"


def test_a_graph_without_packages_is_a_document():
    """The document of an empty graph has no nodes."""
    assert list(read(graph(roots=[]))) == []


def test_the_same_graph_gives_the_same_bytes():
    """The output depends on the graph alone, so that a document can be committed."""
    assert as_graphml(SHOWN) == as_graphml(SHOWN)
