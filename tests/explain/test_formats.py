"""The graph as a tree, as JSON, as DOT, as Mermaid and as SVG."""

import itertools
import json
import xml.etree.ElementTree as ET

from views import edge, graph, package

from envy.explain.formats import as_dot, as_json, as_mermaid, as_tree
from envy.explain.svg import as_svg
from envy.explain.view import State

APP = package(
    'l.app@r1{mode="fast"}',
    edge("l.lib@r1"),
    edge(
        "l.ninja@r1",
        kind="weak",
        looked_for="ninja",
        by_fallback=True,
        needed_by="build",
        use="build",
    ),
    is_root=True,
)
GRAPH = graph(
    APP,
    package("l.lib@r1", "l.zlib@r1", state=State.CACHED),
    package("l.ninja@r1"),
    package("l.zlib@r1", state=State.CACHED, phase="completion"),
    package(
        "l.held@v1",
        edge("l.lib@r1", of_source=True, needed_by="recipe_fetch"),
        state=State.HELD,
        custom_source=True,
        phase="none",
    ),
    package("l.sys@r1", state=State.USER_MANAGED, user_managed=True),
    roots=[APP.key, "l.held@v1", "l.sys@r1"],
)
SVG = "{http://www.w3.org/2000/svg}"


def test_the_tree_shows_all_marks():
    """The tree shows kinds, phases, uses and states, and expands each package only once."""
    assert as_tree(GRAPH) == (
        'l.app@r1{mode="fast"} [not installed]\n'
        "├── l.lib@r1 [cached] (strong)\n"
        "│   └── l.zlib@r1 [cached; phase completion] (strong)\n"
        "└── l.ninja@r1 [not installed] (weak ninja, fallback, by build, use build)\n"
        "l.held@v1 [held; phase none; custom source]\n"
        "└── l.lib@r1 [cached] (source) (see above)\n"
        "l.sys@r1 [user-managed]\n"
    )


def test_a_deep_tree_is_shown():
    """A chain of thousands of packages does not exhaust the stack."""
    names = [f"l.p{number}@r1" for number in range(3000)]
    chain = [package(a, b) for a, b in itertools.pairwise(names)] + [package(names[-1])]
    assert as_tree(graph(*chain, roots=names[:1])).count("\n") == 3000


def test_json_has_every_field():
    """The JSON has packages by key, and edges with all fields."""
    document = json.loads(as_json(GRAPH))
    assert document["roots"] == [APP.key, "l.held@v1", "l.sys@r1"]
    found = {row["key"]: row for row in document["packages"]}
    assert (found["l.lib@r1"]["cached"], found["l.held@v1"]["state"]) == (True, "held")
    assert found[APP.key]["edges"][1] == {
        "target": "l.ninja@r1",
        "kind": "weak",
        "of_source": False,
        "needed_by": "build",
        "use": "build",
        "product": "",
        "looked_for": "ninja",
        "by_fallback": True,
        "origin": "envy.lua:1",
    }


def test_dot_quotes_its_names():
    """Quotes in a key are escaped, so that they do not end a string."""
    assert '"l.app@r1{mode=\\"fast\\"}" -> "l.lib@r1" [label="strong" style=solid];' in (
        as_dot(GRAPH)
    )


def test_mermaid_text_is_escaped():
    """Quotes become entities, and each kind has its own arrow."""
    text = as_mermaid(GRAPH)
    assert "l.app@r1{mode=#quot;fast#quot;}" in text
    assert 'p0 -.->|"weak ninja, fallback, by build, use build"| p3' in text
    assert 'p1 --o|"source"| p2' in text


def test_the_picture_is_well_formed_and_shows_all():
    """Each package is a box with its name, and each edge is a line that ends in an arrow."""
    root = ET.fromstring(as_svg(GRAPH))
    boxes = {group.get("id") for group in root.iter(f"{SVG}g")}
    assert boxes == set(GRAPH.packages)
    lines = [path for path in root.iter(f"{SVG}path") if path.get("marker-end")]
    assert len(lines) == len(list(GRAPH.edges()))
    texts = {text.text for text in root.iter(f"{SVG}text")}
    assert {APP.key, "cached; phase completion", "source"} <= texts


def test_boxes_are_inside_the_picture_and_do_not_overlap():
    """No box is outside the picture, and no boxes overlap."""
    root = ET.fromstring(as_svg(GRAPH))
    width, height = float(root.get("width")), float(root.get("height"))
    rects = []
    for group in root.iter(f"{SVG}g"):
        rect = group.find(f"{SVG}rect")
        x, y, w, h = (float(rect.get(name)) for name in ("x", "y", "width", "height"))
        assert x >= 0
        assert y >= 0
        assert x + w <= width
        assert y + h <= height
        rects.append((x, y, w, h))
    for number, (x, y, w, h) in enumerate(rects):
        for other_x, other_y, other_w, other_h in rects[number + 1 :]:
            apart = x + w <= other_x or other_x + other_w <= x
            assert apart or y + h <= other_y or other_y + other_h <= y


def test_the_same_graph_gives_the_same_bytes():
    """The output depends on the graph alone, so that a picture can be committed."""
    assert as_svg(GRAPH) == as_svg(GRAPH)


def test_a_graph_without_packages_is_shown():
    """Every format can show an empty graph."""
    empty = graph(roots=[])
    assert as_tree(empty) == "(no packages)\n"
    assert json.loads(as_json(empty))["packages"] == []
    ET.fromstring(as_svg(empty))
    assert as_dot(empty).endswith("}\n")
    assert as_mermaid(empty) == "flowchart LR\n"
