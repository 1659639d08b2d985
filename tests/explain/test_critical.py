"""The critical path: equal to the result of a naive search, and shown in every format."""

import itertools
import json
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from views import edge, graph, package

from envy.explain.critical import longest_path
from envy.explain.formats import as_dot, as_json, as_mermaid, as_tree
from envy.explain.reduction import reduced
from envy.explain.svg import as_svg
from envy.explain.view import CriticalPath, GraphView
from envy.phase import RecipePhase

SVG = "{http://www.w3.org/2000/svg}"
APP, LIB, ZLIB, DOC = "l.app@r1", "l.lib@r1", "l.zlib@r1", "l.doc@r1"


def after(*seconds):
    """Return the remaining work from each phase on; the seconds are those of the last phases."""
    phases = [0.0] * (len(RecipePhase) - len(seconds)) + list(seconds)
    return tuple(itertools.accumulate(reversed(phases)))[::-1]


def with_path(shown, work_from, *, is_measured=True):
    """Return the graph with its critical path."""
    path = longest_path(shown, work_from, is_measured=is_measured)
    return GraphView(
        platform=shown.platform,
        manifest=shown.manifest,
        roots=shown.roots,
        packages=shown.packages,
        critical=path,
    )


SHOWN = with_path(
    graph(
        package(APP, edge(LIB, needed_by="build"), DOC, is_root=True),
        package(LIB, ZLIB),
        package(ZLIB),
        package(DOC),
        roots=[APP],
    ),
    {
        APP: after(8.0, 0.0, 1.0, 0.5, 0.0, 0.0),  # fetch 8, stage, build 1, install 0.5
        LIB: after(2.0, 0.0, 0.0),
        ZLIB: after(7.0, 0.0, 0.0),
        DOC: after(1.0, 0.0, 0.0),
    },
)


@st.composite
def weighted_graphs(draw):
    """Draw an acyclic graph with gates at any phase, and seconds for each phase."""
    names = [f"l.p{number}@r1" for number in range(draw(st.integers(1, 7)))]
    phases = st.sampled_from([phase.label for phase in RecipePhase if phase >= 0])
    packages = []
    for position, name in enumerate(names):
        later = names[position + 1 :]
        targets = draw(st.lists(st.sampled_from(later), max_size=4)) if later else []
        edges = [edge(target, needed_by=draw(phases)) for target in targets]
        packages.append(package(name, *edges))
    seconds = st.lists(st.integers(0, 9), min_size=len(RecipePhase), max_size=len(RecipePhase))
    return graph(*packages, roots=names), {name: after(*draw(seconds)) for name in names}


def finish(shown, work_from, key):
    """Return when a package is complete, by plain recursion."""
    waits = [
        finish(shown, work_from, needed.target)
        + work_from[key][RecipePhase[needed.needed_by.upper()]]
        for needed in shown.packages[key].edges
    ]
    return max([work_from[key][0], *waits])


@given(weighted_graphs())
@settings(deadline=None)
def test_no_chain_takes_longer(drawn):
    """The total is the end of the last package, and each step is an edge of the graph."""
    shown, work_from = drawn
    path = longest_path(shown, work_from, is_measured=True)
    assert path.total == max(finish(shown, work_from, key) for key in shown.packages)
    steps = {(key, needed.target) for key, needed in path.edges}
    assert steps == {(above, below) for below, above in itertools.pairwise(path.amounts)}


def test_a_gate_counts_only_the_remaining_phases():
    """A package that needs another from its build on adds only its build and later phases."""
    assert SHOWN.critical.amounts == {ZLIB: 7.0, LIB: 2.0, APP: 1.5}
    assert SHOWN.critical.total == 10.5


def test_the_tree_marks_the_path():
    """Each package on the path shows its share; the total and the steps follow the tree."""
    assert as_tree(SHOWN) == (
        f"{APP} [not installed; critical 1.5s]\n"
        f"├── {LIB} [not installed; critical 2.0s] (strong, by build)\n"
        f"│   └── {ZLIB} [not installed; critical 7.0s] (strong)\n"
        f"└── {DOC} [not installed] (strong)\n"
        "\n"
        "critical path: 10.5s through 3 packages:\n"
        f"  {ZLIB}  7.0s\n"
        f"  {LIB}   2.0s\n"
        f"  {APP}   1.5s\n"
    )


def test_phases_are_counted_without_durations():
    """If no durations are known, amounts are numbers of phases."""
    shown = with_path(
        graph(package(APP, ZLIB), package(ZLIB), roots=[APP]),
        {APP: after(1.0, 1.0, 0.0, 0.001), ZLIB: after(1.0, 0.0, 0.001)},
        is_measured=False,
    )
    text = as_tree(shown)
    assert f"{APP} [not installed; critical 2 phases]\n" in text
    assert f"{ZLIB} [not installed; critical 1 phase]" in text
    assert "critical path: 3 phases through 2 packages:\n" in text
    assert json.loads(as_json(shown))["critical_path"]["unit"] == "phases"


def test_json_marks_the_path():
    """Packages and edges are marked if they are on the path, and the document lists its steps."""
    document = json.loads(as_json(SHOWN))
    assert document["critical_path"] == {
        "unit": "seconds",
        "total": 10.5,
        "steps": [
            {"key": ZLIB, "seconds": 7.0},
            {"key": LIB, "seconds": 2.0},
            {"key": APP, "seconds": 1.5},
        ],
    }
    rows = {row["key"]: row for row in document["packages"]}
    assert [key for key, row in rows.items() if row["critical"]] == [APP, LIB, ZLIB]
    assert [(row["target"], row["critical"]) for row in rows[APP]["edges"]] == [
        (LIB, True),
        (DOC, False),
    ]


def test_json_without_the_path_has_no_fields_for_it():
    """The fields exist only if they were requested."""
    assert "critical" not in as_json(graph(package(APP), roots=[APP]))


def test_dot_emphasises_the_path():
    """Packages and edges on the path are red and thick, and the label has the total."""
    lines = as_dot(SHOWN).splitlines()
    marked = [line.split(" [")[0].strip() for line in lines if "#c00000" in line]
    assert marked == [
        f'"{APP}"',
        f'"{LIB}"',
        f'"{ZLIB}"',
        f'"{APP}" -> "{LIB}"',
        f'"{LIB}" -> "{ZLIB}"',
    ]
    assert '  label="critical path: 10.5s through 3 packages" fontname="sans-serif";' in lines


def test_mermaid_emphasises_the_path():
    """Boxes get a class, links a style by number, and the title has the total."""
    text = as_mermaid(SHOWN)
    assert text.startswith('---\ntitle: "critical path: 10.5s through 3 packages"\n---\n')
    assert "  class p3,p2,p0 critical\n" in text
    assert [line.split()[1] for line in text.splitlines() if "linkStyle" in line] == ["0", "2"]


def test_the_picture_emphasises_the_path():
    """Boxes and lines on the path have their own class, which the legend explains."""
    root = ET.fromstring(as_svg(SHOWN))
    boxes = {
        group.get("id")
        for group in root.iter(f"{SVG}g")
        if "critical" in group.find(f"{SVG}rect").get("class").split()
    }
    assert boxes == {APP, LIB, ZLIB}
    lines = [
        path
        for path in root.iter(f"{SVG}path")
        if path.get("marker-end") and "critical" in path.get("class").split()
    ]
    assert len(lines) == 2
    assert any("red is the critical path: 10.5s" in (text.text or "") for text in root.iter())


def test_a_reduced_graph_keeps_the_path():
    """An edge that a longer path implies stays if it is on the critical path."""
    direct = edge(ZLIB, needed_by="fetch")
    late = edge(LIB, needed_by="install")
    shown = with_path(
        graph(package(APP, late, direct), package(LIB, ZLIB), package(ZLIB), roots=[APP]),
        {
            APP: after(9.0, 0.0, 0.0, 1.0, 0.0, 0.0),
            LIB: after(1.0, 0.0, 0.0),
            ZLIB: after(1.0, 0.0, 0.0),
        },
    )
    assert list(shown.critical.amounts) == [ZLIB, APP]
    assert reduced(shown).packages[APP].edges == (late, direct)


@pytest.mark.parametrize("write", [as_tree, as_json, as_dot, as_mermaid, as_svg])
def test_a_graph_without_packages_has_an_empty_path(write):
    """Every format can show an empty path."""
    empty = with_path(graph(roots=[]), {})
    assert empty.critical == CriticalPath(amounts={}, edges=frozenset(), is_measured=True)
    assert write(empty)


def test_a_deep_graph_has_a_path():
    """A chain of thousands of packages does not exhaust the stack."""
    names = [f"l.p{number}@r1" for number in range(3000)]
    chain = [package(a, b) for a, b in itertools.pairwise(names)] + [package(names[-1])]
    shown = graph(*chain, roots=names[:1])
    path = longest_path(shown, dict.fromkeys(names, after(1.0)), is_measured=True)
    assert list(path.amounts) == names[::-1]
