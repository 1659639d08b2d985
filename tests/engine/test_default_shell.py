"""The shells of recipes, and when a function of the manifest chooses one."""

import pytest
from engine.satellites import LINUX, coordinated, place
from small_graphs import ORIGIN, Recording, edge_to, graph_of, key_of, load, names_of

from envy import events as ev
from envy.declarations.spec import DependencyUse
from envy.engine.default_shell import DefaultShell
from envy.engine.entry_keys import EntryKeys
from envy.engine.failures import Failures
from envy.engine.project import Project
from envy.errors import DeclarationError, EnvyError, GraphError, QueryNotFound
from envy.host.shell import BASH, SH
from envy.lua.values import LuaFunction
from envy.phase import RecipePhase


class ChoosingState:
    """A Lua state whose function is a Python function, which receives `ctx.asset`."""

    def __init__(self, choose):
        self.calls = 0
        self._choose = choose

    def call_with_ctx(self, _function, ctx, _options):
        self.calls += 1
        return self._choose(ctx.functions["asset"])


class Shells:
    """A graph whose entry keys are computed, and the shell of its manifest."""

    def __init__(self, needs, value=None, *, keyless=(), listeners=()):
        self.graph = graph_of(needs, listeners=listeners)
        self.state = None
        if callable(value):
            self.state = ChoosingState(value)
            value = LuaFunction(self.state, 0, f"{ORIGIN.path}:1")
        coordination = coordinated(self.graph)
        self._keyless = keyless
        self.shell = DefaultShell(
            self.graph,
            Project(default_shell=value, shell_origin=ORIGIN),
            LINUX,
            keys=EntryKeys(self.graph, coordination, self._find_entry),
            failures=Failures(self.graph, coordination),
            find_one=self.graph.find_one,
        )

    def of(self, *names):
        """Return the shells of recipes."""
        return [self.shell.shell_for(self.graph.recipes[key_of(name)]) for name in names]

    def _find_entry(self, recipe, _needed):
        if recipe.key.name in self._keyless:
            raise EnvyError("no key")
        place(self.graph, recipe.key.name)


def through(path):
    """Return a shell that is a program of a package."""
    return {"inline": [f"{path}/bin/zsh", "-c"]}


def test_without_a_choice_every_recipe_has_the_built_in_shell():
    """Recipes have the built-in shell before and after the graph is resolved."""
    shells = Shells({"a": []})
    assert shells.of("a") == [BASH]
    shells.shell.choose(is_resolved=False)
    assert shells.of("a") == [BASH]


def test_a_constant_is_chosen_before_the_graph_is_resolved():
    """A constant needs no package, so it is chosen at once."""
    shells = Shells({"a": []}, "@shell:sh")
    shells.shell.choose(is_resolved=False)
    assert shells.of("a") == [SH]


def test_a_value_that_is_not_a_shell_is_an_error_at_the_manifest():
    """The error names the line."""
    with pytest.raises(DeclarationError) as caught:
        Shells({}, 3).shell.choose(is_resolved=False)
    assert caught.value.origin == ORIGIN


def test_a_function_is_called_once_the_graph_is_resolved():
    """Until then the built-in shell is used; afterwards the choice does not change."""
    shells = Shells({"a": []}, lambda _asset: "@shell:sh")
    shells.shell.choose(is_resolved=False)
    assert (shells.state.calls, shells.of("a")) == (0, [BASH])
    shells.shell.choose(is_resolved=True)
    shells.shell.choose(is_resolved=True)
    assert (shells.state.calls, shells.of("a")) == (1, [SH])


def test_all_other_recipes_need_the_packages_of_the_function():
    """The packages of the shell itself are excepted: they have the built-in shell."""
    recording = Recording()
    shells = Shells(
        {"zsh": ["libc"], "libc": [], "app": ["lib"], "lib": []},
        lambda asset: through(asset("zsh")),
        listeners=[recording],
    )
    recording.events.clear()
    shells.shell.choose(is_resolved=True)
    assert shells.of("zsh", "libc") == [BASH, BASH]
    assert all("zsh" in str(shell) for shell in shells.of("app", "lib"))
    edge = shells.graph.edges(key_of("app"))[-1]
    assert (edge.key.name, edge.kind) == ("zsh", "shell")
    assert (edge.use, edge.needed_by) == (DependencyUse.BUILD, RecipePhase.CHECK)
    assert names_of(e.key for e in shells.graph.edges(key_of("zsh"))) == ["libc"]
    added = [(event.parent, event.kind) for event in recording.of(ev.DependencyAdded)]
    assert added == [("local.app@r1", "shell"), ("local.lib@r1", "shell")]


def test_a_package_that_needs_the_shells_package_already_keeps_its_edge():
    """The existing edge does not become stricter."""
    late = edge_to("zsh", needed_by=RecipePhase.INSTALL)
    shells = Shells({"zsh": [], "app": [late]}, lambda asset: through(asset("zsh")))
    shells.shell.choose(is_resolved=True)
    assert shells.graph.edges(key_of("app")) == (late,)


@pytest.mark.parametrize(
    ("name", "error"), [("nothing", QueryNotFound), ("sys", GraphError), ("bad", GraphError)]
)
def test_a_function_may_ask_only_for_packages_with_an_asset(name, error):
    """A user-managed package, or one without a key, is an error, and no edge is added."""
    shells = Shells({"sys": [], "bad": [], "app": []}, lambda asset: asset(name), keyless=["bad"])
    load(shells.graph, "sys", user_managed=True)
    with pytest.raises(error):
        shells.shell.choose(is_resolved=True)
    assert shells.graph.edges(key_of("app")) == ()
    assert shells.of("app") == [BASH]


def test_tools_of_custom_sources_keep_the_built_in_shell():
    """They are built before a function can be called; a constant applies to them, too."""
    for value, expected in ((lambda _asset: "@shell:sh", BASH), ("@shell:sh", SH)):
        shells = Shells({"tool": ["lib"], "lib": [], "app": []}, value)
        shells.shell.exempt_tools([key_of("tool")])
        shells.shell.choose(is_resolved=True)
        assert shells.of("tool", "lib", "app") == [expected, expected, SH]
