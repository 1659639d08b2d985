"""DefaultShell: the shell that the manifest chooses for the scripts of recipes.

A function that chooses the shell may ask for packages. It can be called only when all packages are
known, and the packages that it asks for are themselves built with the built-in shell.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from envy.declarations.key import RecipeKey
from envy.declarations.locations import location_of_function
from envy.declarations.spec import DependencyUse
from envy.engine.entry_keys import EntryKeys
from envy.engine.failures import Failures
from envy.engine.project import Project
from envy.errors import DependencyFailed, GraphError
from envy.graph.recipe import Edge, Recipe
from envy.graph.recipe_graph import RecipeGraph
from envy.host.platform import Platform
from envy.host.shell import Shell, builtin_shell, shell_from_value
from envy.lua.values import CtxTable, LuaFunction
from envy.phase import RecipePhase


class DefaultShell:
    """Chooses the shell once; until then, every recipe has the built-in one."""

    def __init__(
        self,
        graph: RecipeGraph,
        project: Project,
        platform: Platform,
        *,
        keys: EntryKeys,
        failures: Failures,
        find_one: Callable[[str], Recipe],
    ) -> None:
        self._graph = graph
        self._value = project.default_shell
        self._origin = project.shell_origin
        self._platform = platform
        self._keys = keys
        self._failures = failures
        self._find_one = find_one
        self._shell: Shell | None = None
        self._exempt: set[RecipeKey] = set()

    def shell_for(self, recipe: Recipe) -> Shell:
        """Return the shell for a recipe's scripts; what the shell needs gets the built-in one."""
        if self._shell is None or recipe.key in self._exempt:
            return builtin_shell(self._platform)
        return self._shell

    def choose(self, *, is_resolved: bool) -> None:
        """Choose the shell, if that has not been done; a function waits for the whole graph.

        The packages that a function asks for become build dependencies of all other recipes.

        Raises:
            EnvyError: the value is not a shell, or its function names no package of the graph.
        """
        if self._shell is not None:
            return
        if not isinstance(self._value, LuaFunction):
            self._shell = (
                builtin_shell(self._platform)
                if self._value is None
                else shell_from_value(self._value, self._origin)
            )
        elif is_resolved:
            self._shell = self._call(self._value)

    def exempt_tools(self, tools: Iterable[RecipeKey]) -> None:
        """Let tools that are built while the graph is resolved use the built-in shell.

        A function that chooses another shell can be called only later.
        """
        if isinstance(self._value, LuaFunction):
            self._exempt.update(self._graph.closure(tools))

    def _call(self, function: LuaFunction) -> Shell:
        used: list[RecipeKey] = []

        def asset(query: object) -> str:
            recipe = self._find_one(str(query))
            found = self._asset_of(recipe)
            used.append(recipe.key)
            return found

        ctx = CtxTable(
            fields={"platform": self._platform.tag}, functions={"asset": asset}, missing={}
        )
        answer = function.state.call_with_ctx(function, ctx, {})
        shell = shell_from_value(answer, location_of_function(function))
        self._let_all_depend_on(used)
        return shell

    def _asset_of(self, recipe: Recipe) -> str:
        if recipe.loaded_or_none is None or recipe.user_managed:
            raise GraphError(f"default_shell: {recipe.key} has no asset of its own")
        self._exempt.update(self._graph.build_closure([recipe.key]))
        self._keys.compute([recipe.key])
        failure = self._failures.of(recipe.key)
        if failure is not None or recipe.asset_dir is None:
            root = failure.root if isinstance(failure, DependencyFailed) else failure
            raise GraphError(f"default_shell: {recipe.key} cannot be used: {root}")
        return str(recipe.asset_dir)

    def _let_all_depend_on(self, packages: Sequence[RecipeKey]) -> None:
        for key, recipe in self._graph.recipes.items():
            if key in self._exempt:
                continue
            known = {edge.key for edge in self._graph.edges(key)}
            for package in packages:
                if package not in known:
                    edge = Edge(
                        package,
                        RecipePhase.CHECK,
                        DependencyUse.BUILD,
                        "shell",
                        recipe.spec.origin,
                    )
                    self._graph.add_edge(key, edge)
