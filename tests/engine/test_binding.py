"""Binding of references in rounds, without an engine."""

import pytest
from engine.satellites import ELSEWHERE, LINUX, LoadingMaker, coordinated, short
from small_graphs import Recording, graph_of, key_of, load, looked_up, names_of, refer, spec_of

from envy import events as ev
from envy.declarations.spec import DependencyUse
from envy.engine.binding import bind_round, missing_text
from envy.errors import AmbiguousReferences, EnvyError
from envy.events import EventBus
from envy.phase import RecipePhase


class Rounds:
    """A graph whose references are bound."""

    def __init__(self, graph, *, listeners=()):
        self.graph = graph
        self.coordination = coordinated(graph)
        self.maker = LoadingMaker(graph, self.coordination)
        self._events = EventBus(listeners)

    def bind(self):
        """Run one round over all open references."""
        return bind_round(
            self.graph,
            self.graph.open_references(),
            coordination=self.coordination,
            maker=self.maker,
            events=self._events,
            platform=LINUX,
        )

    def failed(self):
        """Return the failed recipes by short name, each with its phase and cause."""
        nodes = [self.coordination[key] for key in self.coordination.failed()]
        return {short(node): (node.failure.phase, str(node.failure)) for node in nodes}


def provider_of(reference):
    return reference.provider and reference.provider.name


def test_one_match_is_bound_and_becomes_an_edge():
    """The edge has the phase, use and kind of the dependency; the fallback is not created."""
    recording = Recording()
    rounds = Rounds(graph_of({"a": [], "b": []}), listeners=[recording])
    reference = refer(rounds.graph, "a", looked_up("b", fallback="other"))
    assert rounds.bind()
    [edge] = rounds.graph.edges(key_of("a"))
    assert (edge.key.name, edge.kind, edge.needed_by) == ("b", "weak", RecipePhase.CHECK)
    assert (provider_of(reference), reference.by_fallback) == ("b", False)
    assert rounds.maker.declared == []
    [event] = recording.of(ev.ReferenceResolved)
    assert (event.query, event.provider, event.by_fallback) == ("b", "local.b@r1", False)


def test_a_reference_of_a_source_becomes_a_source_edge():
    """The dependencies of a source must be complete before recipe_fetch, with all they run."""
    rounds = Rounds(graph_of({"a": [], "b": []}))
    refer(rounds.graph, "a", looked_up("b"), of_source=True)
    rounds.bind()
    [edge] = rounds.graph.source_edges(key_of("a"))
    assert (edge.needed_by, edge.use) == (RecipePhase.RECIPE_FETCH, DependencyUse.RUN)
    assert rounds.graph.edges(key_of("a")) == ()


def test_without_a_match_a_weak_reference_takes_its_fallback():
    """The reference stays bound to its fallback, whatever matches later."""
    rounds = Rounds(graph_of({"a": []}))
    reference = refer(rounds.graph, "a", looked_up("b", fallback="c"))
    assert rounds.bind()
    assert (provider_of(reference), reference.by_fallback) == ("c", True)
    assert rounds.maker.declared == [("c", "a")]
    rounds.graph.add(spec_of("b"))
    assert not rounds.bind()
    assert provider_of(reference) == "c"


def test_all_references_of_a_round_see_the_graph_at_its_start():
    """Two equal references both take their fallbacks, in the order of the fallbacks' keys."""
    rounds = Rounds(graph_of({"a": [], "b": []}))
    refer(rounds.graph, "a", looked_up("tool", fallback="z"))
    refer(rounds.graph, "b", looked_up("tool", fallback="y"))
    rounds.bind()
    assert rounds.maker.declared == [("y", "b"), ("z", "a")]


def test_a_required_reference_waits_for_a_later_round():
    """A round without a change returns False; recipes added by fallbacks may match in the next."""
    rounds = Rounds(graph_of({"a": [], "b": []}))
    waiting = refer(rounds.graph, "a", looked_up("late"))
    assert not rounds.bind()
    refer(rounds.graph, "b", looked_up("other", fallback="late"))
    assert rounds.bind()
    assert provider_of(waiting) is None
    assert rounds.bind()
    assert provider_of(waiting) == "late"


def test_a_fallback_for_another_platform_is_ignored():
    """A weak reference without a fallback here waits, like a required one."""
    rounds = Rounds(graph_of({"a": []}))
    refer(rounds.graph, "a", looked_up("b", fallback="c", fallback_platforms=ELSEWHERE))
    assert not rounds.bind()


def test_several_matches_are_an_error_that_lists_them():
    """The error lists all ambiguous references, and nothing is bound."""
    rounds = Rounds(graph_of({"a": [], "local.b@r1": [], "local.b@r2": [], "c": []}))
    bound = refer(rounds.graph, "a", looked_up("c"))
    refer(rounds.graph, "a", looked_up("b"))
    with pytest.raises(AmbiguousReferences) as caught:
        rounds.bind()
    assert [row[1] for row in caught.value.rows] == [("local.b@r1", "local.b@r2")]
    assert bound.open


def test_a_recipe_never_matches_its_own_reference():
    """A recipe does not match its own references, and an excluded recipe matches none."""
    rounds = Rounds(graph_of({"a": [], "b": []}))
    load(rounds.graph, "b", excluded=True)
    refer(rounds.graph, "a", looked_up("a"))
    refer(rounds.graph, "a", looked_up("b"))
    assert not rounds.bind()


@pytest.mark.parametrize(("query", "found"), [("", "b"), ("b", "b"), ("c", None)])
def test_a_product_is_looked_up_by_its_name_and_query(query, found):
    """A query beside a product names the recipe that should provide it."""
    rounds = Rounds(graph_of({"a": [], "b": [], "c": []}))
    load(rounds.graph, "b", provides=["ninja"])
    reference = refer(rounds.graph, "a", looked_up(query, product="ninja"))
    rounds.bind()
    assert provider_of(reference) == found


def test_while_a_recipe_is_missing_only_exact_references_are_bound():
    """Other references stay undecided and fail their owners, as the missing recipe may match."""
    rounds = Rounds(graph_of({"a": [], "b": [], "c": [], "gone": []}, aliases={"tool": "c"}))
    rounds.coordination[key_of("gone")].current_phase = RecipePhase.NONE
    error = EnvyError("there is no such file")
    rounds.coordination.fail(key_of("gone"), error, phase=RecipePhase.RECIPE_FETCH)
    exact = refer(rounds.graph, "a", looked_up("local.c@r1"))
    alias = refer(rounds.graph, "a", looked_up("tool"))
    guess = refer(rounds.graph, "b", looked_up("c", fallback="other"))
    assert rounds.bind()
    assert [provider_of(row) for row in (exact, alias, guess)] == ["c", "c", None]
    assert guess.undecided
    phase, text = rounds.failed()["b"]
    assert phase == "check"
    assert "local.gone@r1" in text


def test_the_owner_of_a_reference_behind_a_set_aside_recipe_is_set_aside():
    """A plan leaves the owner out instead of reporting a failure."""
    rounds = Rounds(graph_of({"a": [], "gone": []}))
    rounds.coordination.set_aside(key_of("gone"), "its tools are missing")
    rounds.coordination[key_of("gone")].current_phase = RecipePhase.NONE
    refer(rounds.graph, "a", looked_up("b"))
    rounds.bind()
    assert "is not known before local.gone@r1 is fetched" in rounds.failed()["a"][1]


def test_a_shared_recipe_may_not_be_bound_to_a_local_one():
    """The owner of the reference fails, and no edge is added."""
    rounds = Rounds(graph_of({"lib.a@r1": [], "b": []}))
    reference = refer(rounds.graph, "lib.a@r1", looked_up("b"))
    rounds.bind()
    assert reference.undecided
    assert rounds.graph.edges(key_of("lib.a@r1")) == ()
    assert list(rounds.failed()) == ["a"]


def test_a_reference_without_a_match_is_described_with_near_matches():
    """The lines name providers of the product, and the products of the named recipe."""
    graph = graph_of({"a": [], "b": [], "c": []})
    load(graph, "b", provides=["ninja"])
    load(graph, "c", provides=["make"])
    reference = refer(graph, "a", looked_up("c", product="ninja"))
    [text] = missing_text(graph, [reference])
    assert "it is provided by local.b@r1" in text
    assert "local.c@r1 answers to 'c' and provides make" in text
    assert names_of(graph.recipes) == ["a", "b", "c"]
