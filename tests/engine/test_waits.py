"""The sentences about active recipes."""

from types import SimpleNamespace

from engine.satellites import coordinated
from small_graphs import ORIGIN, graph_of, key_of

from envy.engine.waits import describe_waits
from envy.host.children import RunningChild
from envy.phase import RecipePhase
from envy.scheduler.activity import NodeActivity
from envy.scheduler.coordination import NodeState


class Standing:
    """A graph, and the activity of its recipes at one moment."""

    def __init__(self, needs):
        self.graph = graph_of(needs)
        self._nodes = coordinated(self.graph)
        self.rows = []
        self.children = []

    def add(self, name, state, phase, **details):
        """Set the activity of a recipe, begun two seconds ago."""
        given = {"blocked_by": [], "waiting_for": "", "pool": None, **details}
        given["blocked_by"] = [self._nodes[key_of(one)] for one in given["blocked_by"]]
        node = self._nodes[key_of(name)]
        self.rows.append(NodeActivity(node=node, phase=phase, state=state, seconds=2.0, **given))

    def run(self, label, command):
        self.children.append(
            RunningChild(label=label, pid=7, command=command, started=0.0, last_output=0.0)
        )

    def lines(self):
        return describe_waits(self.graph, self.rows, self.children)


def pool(*, size, busy, budget=None, name="work"):
    return SimpleNamespace(name=name, size=size, busy=busy, budget=budget)


def test_a_recipe_that_works_comes_first_with_its_program():
    """Recipes that wait follow, in key order."""
    standing = Standing({"a": [], "b": []})
    standing.add("a", NodeState.LOCKED_OUT, RecipePhase.CHECK, waiting_for="the lock of b")
    standing.add("b", NodeState.RUNNING, RecipePhase.BUILD)
    standing.run("local.b@r1: build", "make")
    assert standing.lines() == [
        "local.b@r1: runs build for 2 s; pid 7: make",
        "local.a@r1: waits in check for 2 s for the lock of b",
    ]


def test_a_blocked_recipe_names_the_edge_and_what_the_dependency_does():
    """A dependency that does not work is named with its last completed phase."""
    standing = Standing({"a": ["b", "c"], "b": [], "c": []})
    standing.add("a", NodeState.BLOCKED, RecipePhase.CHECK, blocked_by=["b", "c"])
    standing.add("b", NodeState.QUEUED, RecipePhase.FETCH)
    [blocked, queued] = standing.lines()
    assert blocked == (
        f"local.a@r1: waits before check for 2 s for local.b@r1 (strong, {ORIGIN}), which waits "
        f"for a slot before fetch, local.c@r1 (strong, {ORIGIN}), which rests after recipe_fetch"
    )
    assert queued == "local.b@r1: waits before fetch for a slot for 2 s: it is next"


def test_only_a_few_dependencies_are_named():
    """The other dependencies are counted."""
    names = [f"d{number}" for number in range(8)]
    standing = Standing({"a": names, **{name: [] for name in names}})
    standing.add("a", NodeState.BLOCKED, RecipePhase.CHECK, blocked_by=names)
    [line] = standing.lines()
    assert line.endswith(" and 3 more")


def test_a_queued_recipe_says_which_recipes_have_the_slots():
    """If the budget refuses a free slot, the sentence says why."""
    standing = Standing({"a": [], "b": [], "c": []})
    full = pool(size=1, busy=1)
    standing.add("a", NodeState.RUNNING, RecipePhase.BUILD, pool=full)
    standing.add("b", NodeState.QUEUED, RecipePhase.BUILD, pool=full)
    refusing = pool(size=2, busy=1, budget=SimpleNamespace(reason=lambda: "make has all jobs"))
    standing.add("c", NodeState.QUEUED, RecipePhase.BUILD, pool=refusing)
    _, taken, refused = standing.lines()
    assert taken.endswith(": 1 of 1 work slots (--jobs) are taken, by local.a@r1")
    assert refused.endswith(": make has all jobs")


def test_a_program_outside_any_phase_is_named():
    """A program outside any phase, such as one that prints its version, is named."""
    standing = Standing({"a": []})
    standing.run("local.a@r1: cc", "cc --version")
    assert standing.lines() == ["local.a@r1: cc: pid 7: cc --version"]
