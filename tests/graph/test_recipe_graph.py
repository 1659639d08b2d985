"""RecipeGraph: merging of edges, closures, and the recipes that a query finds."""

import networkx as nx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_graphs import (
    Recording,
    edge_to,
    graph_of,
    key_of,
    load,
    looked_up,
    names_of,
    refer,
    spec_of,
)

from envy import events as ev
from envy.declarations.spec import DependencyUse
from envy.errors import AmbiguousQuery, QueryNotFound
from envy.phase import RecipePhase

PHASES = st.sampled_from([phase for phase in RecipePhase if phase >= RecipePhase.CHECK])
EDGES = st.builds(
    lambda needed_by, use, product: edge_to("b", needed_by=needed_by, use=use, product=product),
    PHASES,
    st.sampled_from(DependencyUse),
    st.sampled_from(["", "tool"]),
)
# Recipe n may need earlier recipes, so that there is no cycle; True: only to build it.
ACYCLIC = st.integers(1, 12).flatmap(
    lambda count: st.fixed_dictionaries(
        {
            f"n{number}": st.dictionaries(
                st.sampled_from([f"n{before}" for before in range(number)]), st.booleans()
            )
            if number
            else st.just({})
            for number in range(count)
        }
    )
)


def merged(edges):
    """Return the single edge that the edges from one recipe to another become."""
    graph = graph_of({"a": edges, "b": []})
    [edge] = graph.edges(key_of("a"))
    return edge.needed_by, edge.use, edge.product


# -- edges ---------------------------------------------------------------------------------------


def test_two_edges_to_one_recipe_become_the_stricter_of_both():
    """The earlier phase wins, and `use = "run"`; a product is kept."""
    late = edge_to("b", needed_by=RecipePhase.INSTALL, use=DependencyUse.RUN)
    early = edge_to("b", needed_by=RecipePhase.FETCH, use=DependencyUse.BUILD, product="tool")
    assert merged([late, early]) == (RecipePhase.FETCH, DependencyUse.RUN, "tool")


def test_a_merged_edge_keeps_the_kind_and_position_of_the_first():
    """Dependencies stay in the order of their declaration."""
    graph = graph_of({"a": ["b", "c", edge_to("b", kind="weak")], "b": [], "c": []})
    edges = graph.edges(key_of("a"))
    assert [(edge.key.name, edge.kind) for edge in edges] == [("b", "strong"), ("c", "strong")]


@given(st.lists(EDGES, min_size=1, max_size=6), st.randoms(use_true_random=False))
def test_the_order_and_number_of_equal_edges_do_not_matter(edges, dice):
    """Phase, use and product of a merged edge depend on the set of edges alone."""
    shuffled = [*edges, *edges]
    dice.shuffle(shuffled)
    assert merged(edges) == merged(shuffled)


@given(st.lists(EDGES, min_size=1, max_size=6))
def test_a_merged_edge_is_as_strict_as_each_of_its_parts(edges):
    """It is needed by the earliest phase, and at run time if any part is."""
    needed_by, use, _ = merged(edges)
    assert needed_by == min(edge.needed_by for edge in edges)
    assert (use is DependencyUse.RUN) == any(edge.use is DependencyUse.RUN for edge in edges)


def test_edges_of_a_source_are_kept_apart():
    """`edges` and `source_edges` do not merge; `all_edges` has the recipe's own first."""
    graph = graph_of({"a": ["b"], "b": [], "tool": []})
    graph.add_edge(key_of("a"), edge_to("tool"), of_source=True)
    graph.add_edge(key_of("a"), edge_to("b"), of_source=True)
    a = key_of("a")
    assert names_of(edge.key for edge in graph.edges(a)) == ["b"]
    assert names_of(edge.key for edge in graph.source_edges(a)) == ["tool", "b"]
    assert names_of(edge.key for edge in graph.all_edges(a)) == ["b", "tool", "b"]
    assert names_of(graph.needs(a)) == ["b", "tool", "b"]


def test_each_edge_is_reported_as_it_was_declared():
    """Events report recipes and each edge, even an edge that is merged."""
    recording = Recording()
    late = edge_to("b", needed_by=RecipePhase.INSTALL, kind="weak")
    graph_of({"a": ["b", late], "b": []}, listeners=[recording])
    assert [event.key for event in recording.of(ev.RecipeRegistered)] == [
        "local.a@r1",
        "local.b@r1",
    ]
    found = [(e.parent, e.kind, e.needed_by) for e in recording.of(ev.DependencyAdded)]
    assert found == [
        ("local.a@r1", "strong", RecipePhase.CHECK),
        ("local.a@r1", "weak", RecipePhase.INSTALL),
    ]


# -- references ----------------------------------------------------------------------------------


def test_open_references_are_in_the_order_of_their_owners_keys():
    """The order of adding does not matter; references of a source follow those of its recipe."""
    graph = graph_of({"b": [], "a": []})
    of_b = refer(graph, "b", looked_up("x"))
    of_source = refer(graph, "a", looked_up("y"), of_source=True)
    of_a = refer(graph, "a", looked_up("z"))
    assert graph.open_references() == [of_a, of_source, of_b]
    assert graph.all_references() == [of_a, of_source, of_b]
    assert graph.open_references([key_of("b")]) == [of_b]


def test_a_bound_or_undecided_reference_is_not_open():
    """A closed reference is still among the references of its owner."""
    graph = graph_of({"a": [], "b": []})
    bound, given_up = refer(graph, "a", looked_up("b")), refer(graph, "a", looked_up("c"))
    bound.provider, given_up.undecided = key_of("b"), True
    assert graph.open_references() == []
    assert list(graph.references(key_of("a"))) == [bound, given_up]
    assert list(graph.references(key_of("b"))) == []


# -- closures ------------------------------------------------------------------------------------


@given(ACYCLIC, st.data())
def test_closures_agree_with_networkx(needs, data):
    """A closure contains the roots and their descendants, each after all that it needs."""
    graph = graph_of(
        {
            name: [
                edge_to(one, use=DependencyUse.BUILD if build else DependencyUse.RUN)
                for one, build in row.items()
            ]
            for name, row in needs.items()
        }
    )
    for owner, target in data.draw(_pairs(needs)):
        graph.add_edge(key_of(owner), edge_to(target), of_source=True)
    roots = data.draw(st.lists(st.sampled_from(sorted(needs)), max_size=3))
    own = {name: graph.edges(key_of(name)) for name in needs}
    run = {
        name: [edge for edge in row if edge.use is DependencyUse.RUN] for name, row in own.items()
    }
    everything = {name: graph.all_edges(key_of(name)) for name in needs}
    keys = [key_of(root) for root in roots]
    _check_closure(graph.build_closure(keys), own, roots)
    _check_closure(graph.run_closure(keys), run, roots)
    _check_closure(graph.closure(keys), everything, roots)


def _pairs(needs):
    """Return source edges that do not create a cycle."""
    names = sorted(needs, key=lambda name: int(name[1:]))
    pairs = [(owner, target) for at, owner in enumerate(names) for target in names[:at]]
    return st.lists(st.sampled_from(pairs), max_size=5) if pairs else st.just([])


def _check_closure(found, edges, roots):
    model = nx.DiGraph()
    model.add_nodes_from(edges)
    model.add_edges_from((name, edge.key.name) for name, row in edges.items() for edge in row)
    order = names_of(found)
    assert len(order) == len(set(order))
    assert set(order) == set(roots).union(*(nx.descendants(model, root) for root in roots))
    for before, after in model.edges:
        assert before not in order or order.index(after) < order.index(before)


# -- finding -------------------------------------------------------------------------------------


def test_a_query_finds_matches_in_key_order():
    """The order in which recipes were added does not matter."""
    graph = graph_of({"local.b@r2": [], "local.b@r1": [], "other": []})
    assert [row.key.canonical for row in graph.find_matches("b")] == ["local.b@r1", "local.b@r2"]


def test_an_alias_of_the_manifest_finds_its_recipe_only():
    """The alias finds its recipe even if another recipe has that name."""
    graph = graph_of({"a": [], "b": []}, aliases={"b": "a", "gone": "missing"})
    assert names_of(graph.find_matches("b")) == ["a"]
    assert graph.aliases_of(key_of("a")) == ["b"]
    assert graph.aliased("gone") is None


def test_a_query_matches_the_alias_of_a_recipe_file():
    """The alias counts as a name; a recipe that is excluded on this platform matches nothing."""
    graph = graph_of({"a": [], "b": []})
    load(graph, "a", alias="tool")
    load(graph, "b", alias="tool", excluded=True)
    assert names_of(graph.find_matches("tool")) == ["a"]
    assert graph.find_matches("b") == []


def test_an_alias_of_a_file_matches_with_its_revision():
    """The alias counts as a name, so that a query may add the revision."""
    graph = graph_of({"local.a@r1": []})
    load(graph, "local.a@r1", alias="tool")
    assert names_of(graph.find_matches("tool@r1")) == names_of(graph.find_matches("tool"))
    assert graph.find_matches("tool@r1") != []
    assert graph.find_matches("tool@r2") == []


def test_find_one_takes_a_canonical_key_over_its_option_variants():
    """A canonical key is exact; a query that several recipes match is refused."""
    graph = graph_of({"local.a@r1": [], 'local.a@r1{x="1"}': []})
    assert graph.find_one("local.a@r1").key.canonical == "local.a@r1"
    with pytest.raises(AmbiguousQuery, match="a"):
        graph.find_one("a")


def test_a_query_without_a_match_suggests_similar_names():
    """The error names similar packages, or all, or recipes that could not be read."""
    graph = graph_of({"python": []})
    with pytest.raises(QueryNotFound) as near:
        graph.find_one("pythn")
    assert "python" in str(near.value)
    with pytest.raises(QueryNotFound) as far:
        graph.find_one("zzz")
    assert far.value.hint == "packages here: python"
    with pytest.raises(QueryNotFound) as failed:
        graph.find_one("zzz", failed=lambda: [key_of("python")])
    assert failed.value.hint == "not all recipes could be read (local.python@r1)"


def test_find_exact_knows_only_whole_keys():
    """It returns None for a key that is not in the graph."""
    graph = graph_of({"a": []})
    assert graph.find_exact(key_of("a")) is graph.recipes[key_of("a")]
    assert graph.find_exact(key_of("b")) is None
    assert graph.add(spec_of("b")) is graph.find_exact(key_of("b"))
