"""The creation of declared recipes in the graph, and which recipes are held."""

from engine.satellites import ELSEWHERE, LINUX, NotingCoordinator, PlainKind, short
from small_graphs import graph_of, key_of, looked_up, names_of, spec_of, strong

from envy.declarations.spec import DependencyUse
from envy.engine.recipe_coordination import RecipeCoordination
from envy.engine.recipe_maker import RecipeMaker
from envy.phase import RecipePhase


class Making:
    """An empty graph and its maker."""

    def __init__(self):
        self.graph = graph_of({})
        self.scheduler = NotingCoordinator()
        self.coordination = RecipeCoordination(self.scheduler, PlainKind())
        self.maker = RecipeMaker(self.graph, self.coordination, LINUX)

    def started(self):
        return [names for phase, names in self.scheduler.targets]


def test_one_key_is_one_recipe():
    """A key that is declared several times is one recipe; each declaration is kept."""
    making = Making()
    first = making.maker.ensure(spec_of("a"))
    assert making.maker.ensure(spec_of("a"), parent=key_of("b")) is first
    assert [parent for parent, _spec in first.declarations] == [None, key_of("b")]
    assert [short(node) for node in making.coordination.values()] == ["a"]


def test_a_declared_recipe_is_fetched():
    """The target of a declared recipe is recipe_fetch."""
    making = Making()
    making.maker.declare(spec_of("a"), parent=key_of("b"))
    assert making.scheduler.targets == [(RecipePhase.RECIPE_FETCH, ["a"])]


def test_a_recipe_with_a_custom_source_is_held():
    """The dependencies of its source are declared and fetched; the recipe itself is not fetched."""
    making = Making()
    needs = (strong("tool"), looked_up("x", fallback="y"), strong("other", platforms=ELSEWHERE))
    making.maker.declare(spec_of("a", source_needs=needs), parent=key_of("b"))
    assert names_of(making.maker.held) == ["a"]
    assert making.started() == [["tool"]]
    [edge] = making.graph.source_edges(key_of("a"))
    assert (edge.key.name, edge.kind, edge.use) == ("tool", "source", DependencyUse.RUN)
    [reference] = making.graph.references(key_of("a"))
    assert (reference.of_source, reference.index) == (True, 1)


def test_a_custom_source_is_held_once():
    """A recipe whose source has been run is not held again."""
    making = Making()
    spec = spec_of("a", source_needs=(looked_up("x"),))
    making.maker.declare(spec, parent=key_of("b"))
    making.maker.held.clear()
    making.maker.declare(spec, parent=key_of("c"))
    assert making.maker.held == {}
    assert len(making.graph.references(key_of("a"))) == 1


def test_a_mistake_in_a_custom_source_fails_its_recipe():
    """The source of a shared recipe may not need a local one; nothing of it is declared."""
    making = Making()
    spec = spec_of("lib.a@r1", source_needs=(looked_up("x"), strong("tool")))
    making.maker.declare(spec, parent=key_of("b"))
    failure = making.coordination.failure(key_of("lib.a@r1"))
    assert failure.phase == "recipe_fetch"
    assert making.graph.references(key_of("lib.a@r1")) == ()
    assert making.started() == []
