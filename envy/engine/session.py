"""Session: the operations on one manifest that the engine offers to commands.

Commands and `explain/` use a Session and never the Engine, a phase or the scheduler. `cli.wiring`
opens one for each command. Its methods are called from the command's thread only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from envy.answers.launcher_state import FOLDER
from envy.answers.program import with_scripts
from envy.answers.project_environment import ProjectEnvironment
from envy.engine.installed import missing_packages, require_installed
from envy.engine.lock_use import IGNORED, LockUse
from envy.engine.priorities import Forecast, forecast
from envy.engine.project_environment import environment_of
from envy.engine.stored_graph import store_answer, store_resolutions
from envy.errors import EnvyError, GraphError, RecipeError
from envy.execution import entry_lock, explanation
from envy.execution.products import check_found_products
from envy.execution.user_managed import is_satisfied
from envy.graph.distances import nearest_of
from envy.phase import RecipePhase
from envy.phases.completion import products_of, restore_shims_of

if TYPE_CHECKING:
    from envy.cache.layout import CacheLayout, EntryPaths
    from envy.declarations.key import RecipeKey
    from envy.declarations.manifest import Manifest
    from envy.engine.engine import Engine
    from envy.engine.goals import Result
    from envy.engine.lock_maker import MadeLock, OpenOther
    from envy.engine.releases import Releases
    from envy.engine.shared_entries import SharedEntries
    from envy.errors import Cancelled, NotPlanned
    from envy.execution.explanation import Missing
    from envy.graph.recipe import Edge, Recipe, Reference


class Session:
    """One manifest with its graph, which can be resolved, queried and installed from."""

    def __init__(
        self,
        engine: Engine,
        manifest: Manifest,
        *,
        lock_use: LockUse = IGNORED,
        on_platform: OpenOther | None = None,
    ) -> None:
        self._engine = engine
        self._lock_use = lock_use
        self._on_platform = on_platform  # opens the project for another platform
        self._graph = engine.graph
        self.manifest = manifest
        # Products of packages that completed in an earlier run.
        self._products: dict[RecipeKey, Mapping[str, str]] = {}

    @property
    def layout(self) -> CacheLayout:
        """The cache."""
        return self._engine.services.layout

    @property
    def environment(self) -> Mapping[str, str]:
        """The variables that the command was started with."""
        return self._engine.services.environment

    @property
    def platform_tag(self) -> str:
        """The platform that the graph is resolved for, such as `linux-x86_64`."""
        return self._engine.services.platform.tag

    @property
    def cores(self) -> int:
        """The number of jobs that may run at once."""
        return self._engine.services.cores

    # -- the graph -------------------------------------------------------------------------------

    def resolved(self, queries: Sequence[str] = ()) -> list[RecipeKey]:
        """Resolve the manifest's graph, and return the keys that queries mean; all roots if none.

        Raises:
            GraphError: the graph has a cycle or an unmet reference, or a query does not match
            exactly one package of this platform; DeclarationError: one key has two sources.
            LockError: the lock contradicts the project, or has to be complete and is not.
        """
        if not self._engine.is_resolved:
            self._engine.resolve_graph(self.manifest.packages)
            if self._lock_use.checks:
                from envy.engine.lock_check import check_lock

                check_lock(self._engine, self.manifest, self._lock_use)
        return self._engine.checked_goals(queries)

    def new_lock(self, *, named: Sequence[str] = (), installs: bool = True) -> MadeLock:
        """Return the lock of the project as it is now, with what the present one allows.

        `named` are the platforms to lock; none means those of the manifest. With `installs`, the
        tools that custom sources need are installed for this machine first.

        Raises:
            EnvyError: the project does not resolve on a platform that was asked for, or on none.
        """
        from envy.engine.lock_maker import lock_project

        project = (self._engine, self.manifest, self._lock_use, self._on_platform)
        return lock_project(*project, named=named, installs=installs)

    @property
    def roots(self) -> Sequence[RecipeKey]:
        """The packages that the manifest lists."""
        return self._graph.roots

    def recipe(self, key: RecipeKey) -> Recipe:
        """Return the recipe of a key that is in the graph."""
        return self._graph.recipes[key]

    def recipes(self) -> list[Recipe]:
        """Return every recipe of the graph, in key order."""
        return [self._graph.recipes[key] for key in sorted(self._graph.recipes)]

    def find_matches(self, query: str) -> list[Recipe]:
        """Return every package that matches a query, in key order."""
        return self._graph.find_matches(query)

    def find_one(self, query: str) -> Recipe:
        """Return the only package that matches a query.

        Raises:
            AmbiguousQuery: several match; QueryNotFound: none does.
        """
        return self._engine.find_one(query)

    def locate(self, query: str) -> Recipe:
        """Resolve the graph, and return the package with an asset folder that a query means.

        Raises:
            GraphError: not exactly one package matches, or it has no asset; RecipeError: it failed.
        """
        self.resolved()
        recipe = self._engine.find_nearest(query)
        failure = self.failure_of(recipe.key)
        if failure is not None:
            raise failure
        if recipe.user_managed:
            raise GraphError(
                f"{recipe.key} is user-managed: it changes the machine and has no folder in the "
                "cache",
                hint="run its programs by name, or with `envy run`",
            )
        if recipe.excluded:
            raise GraphError(f"{recipe.key} is not for {self.platform_tag}")
        return recipe

    def aliases_of(self, key: RecipeKey) -> list[str]:
        """Return the aliases that the manifest gives a package, sorted."""
        return self._graph.aliases_of(key)

    def edges(self, key: RecipeKey) -> tuple[Edge, ...]:
        """Return the edges to what a recipe needs."""
        return self._graph.edges(key)

    def source_edges(self, key: RecipeKey) -> tuple[Edge, ...]:
        """Return the edges to what must be complete before a recipe can be fetched."""
        return self._graph.source_edges(key)

    def all_edges(self, key: RecipeKey) -> tuple[Edge, ...]:
        """Return the edges of a recipe, and those of its source."""
        return self._graph.all_edges(key)

    def references(self, key: RecipeKey) -> Sequence[Reference]:
        """Return the weak and required references of a recipe and its source."""
        return self._graph.references(key)

    def all_references(self) -> list[Reference]:
        """Return the references of every recipe, by owner, the recipe's own before its source's."""
        return self._graph.all_references()

    @property
    def shared(self) -> SharedEntries | None:
        """What takes packages from depots and stores them there; None if there are no depots."""
        return self._engine.shared

    @property
    def releases(self) -> Releases:
        """What is upstream of the sources of recipes."""
        from envy.engine.releases import Releases

        return Releases(self._engine)

    # -- state and failures ----------------------------------------------------------------------

    def compute_keys(self) -> None:
        """Compute the entry key of every package, and look its entry up in the cache."""
        self._engine.compute_keys(sorted(self._graph.recipes))

    def phase_of(self, key: RecipeKey) -> RecipePhase:
        """Return the last phase that a package has completed."""
        return RecipePhase(self._engine.coordination[key].current_phase)

    def is_complete(self, key: RecipeKey) -> bool:
        """Return whether a package has completed its last phase in this run."""
        return self._engine.coordination.is_complete(key)

    def needs_deploy(self, recipe: Recipe) -> bool:
        """Return whether a package has a deploy phase that has not run for its entry."""
        return entry_lock.needs_deploy(recipe)

    def explain_missing(self, recipe: Recipe) -> Missing | None:
        """Return why a package would be built, as a sync judges it; None if it is in the cache."""
        return explanation.explain_missing(recipe, self._engine)

    def failures(self) -> list[RecipeError]:
        """Return every failure so far, of wanted packages and others, in key order."""
        return self._engine.failures()

    def failure_of(self, key: RecipeKey) -> Exception | None:
        """Return the failure of a package, or None."""
        return self._engine.failure_of(key)

    def left_out(self) -> list[NotPlanned]:
        """Return the recipes that stay unknown because nothing may be installed, in key order."""
        return self._engine.left_out()

    @property
    def cancellation(self) -> Cancelled | None:
        """The reason why the run was cancelled, or None."""
        return self._engine.cancellation

    def forecast(self, recipes: Sequence[Recipe]) -> Forecast:
        """Return how long packages are expected to take, from what earlier runs remembered."""
        return forecast(self._engine.durations, recipes)

    # -- work ------------------------------------------------------------------------------------

    def prepare(self, goals: Iterable[RecipeKey]) -> None:
        """Compute keys and decide which packages the goals want; run no phase."""
        self._engine.prepare(goals)

    def wanted(self) -> list[Recipe]:
        """Return every package that the goals want, in key order."""
        return self._engine.wanted()

    def install(self, goals: Sequence[RecipeKey]) -> list[Result]:
        """Install the goals and everything they want; return a result for each, in key order.

        A package that fails raises nothing: its failure is in its result.
        """
        return self._engine.run_full(goals)

    def run_until(self, goal: RecipeKey, phase: RecipePhase) -> None:
        """Run a package until `phase`, inclusive; a failure raises nothing: see `failure_of`."""
        self._engine.run_until(goal, phase)

    def require_installed(self, goals: Sequence[RecipeKey]) -> None:
        """Check that the goals and everything they need to run are installed; install nothing.

        Raises:
            EnvyError: something is missing; RecipeError: a goal failed.
        """
        require_installed(self._engine, goals)

    def missing(self, goals: Iterable[RecipeKey]) -> list[Recipe]:
        """Return the packages that the goals need to run and that are not installed, by key.

        Whether a user-managed package is installed, only its check can say.
        """
        return missing_packages(self._engine, goals)

    def hold_leases(self, entries: Iterable[EntryPaths]) -> None:
        """Keep gc from removing entries until the session is closed."""
        self._engine.lease.hold(entry.name for entry in entries)

    # -- products and exports --------------------------------------------------------------------

    def products_of(self, recipe: Recipe) -> Mapping[str, str]:
        """Return the products of an installed package: paths by name.

        The recipe of a user-managed package may compute them, which runs its function once.
        """
        if recipe.work.outcome is not None:
            return recipe.work.products
        if recipe.key not in self._products:
            restore_shims_of(recipe, self._engine)
            self._products[recipe.key] = products_of(recipe, self._engine)
        return self._products[recipe.key]

    def known_products(self, recipe: Recipe) -> Mapping[str, str]:
        """Return the products of a package as far as they are known; run nothing."""
        return recipe.work.products or self._products.get(recipe.key, {})

    def learn_products(self, recipe: Recipe) -> bool:
        """Run a user-managed package's check; return whether its products are known then."""
        try:
            if not is_satisfied(recipe, self._engine, RecipePhase.CHECK):
                return False
            self.products_of(recipe)
        except EnvyError:
            return False
        return True

    def project_environment(
        self, packages: Sequence[RecipeKey] | None = None, *, installed: bool = True
    ) -> ProjectEnvironment:
        """Return the environment of the manifest's packages, or of some, for programs to run in.

        Without `installed`, only the names that packages provide are gathered, and nothing runs.

        Raises:
            DeclarationError: two packages that are equally near export different values for one
                variable.
        """
        if packages is None:
            packages = [key for key in self._graph.roots if key not in self._graph.left_out]
        environment = environment_of(
            self._graph,
            packages,
            usable=self._is_usable if installed else lambda _recipe: False,
            products=self.products_of,
        )
        return self._with_manifest(environment)

    def _with_manifest(self, environment: ProjectEnvironment) -> ProjectEnvironment:
        manifest = self.manifest
        return replace(
            environment,
            variables={**environment.variables, **manifest.env},
            dotenv=str(manifest.dotenv or ""),
        )

    def run_closure(self, keys: Iterable[RecipeKey]) -> list[RecipeKey]:
        """Return packages and everything that running them needs, dependencies first."""
        return self._graph.run_closure(keys)

    def nearest_of(self, recipes: Iterable[Recipe]) -> list[Recipe]:
        """Return the packages that are nearest to the manifest, in the same order."""
        return nearest_of(self._graph, recipes)

    def _is_usable(self, recipe: Recipe) -> bool:
        """Return whether a package is installed, apart from what it needs to run."""
        if self.is_complete(recipe.key):
            return True
        if self.failure_of(recipe.key) or recipe.loaded_or_none is None or recipe.user_managed:
            return recipe.user_managed and not self.failure_of(recipe.key)
        try:
            check_found_products(recipe)
        except EnvyError:
            return False
        return recipe.work.cached and not recipe.work.undeployed

    # -- the stored answer -----------------------------------------------------------------------

    def store_answer(self) -> None:
        """Store what the manifest resolved to, so that the next command is warm.

        If everything that the project uses is installed, `run` and `product` are warm too.
        """
        store_answer(self._engine, self.manifest, self._whole_environment())

    def _whole_environment(self) -> ProjectEnvironment | None:
        """Return the environment of the project; None if a part is not installed or unknown."""
        roots = [key for key in self._graph.roots if not self.recipe(key).excluded]
        needed = [self.recipe(key) for key in self._graph.run_closure(roots)]
        if any(recipe.user_managed or not self._is_usable(recipe) for recipe in needed):
            return None
        try:
            used = [key for key in roots if key not in self._graph.left_out]
            environment = environment_of(
                self._graph, used, usable=lambda _recipe: True, products=self.products_of
            )
            return with_scripts(self._with_manifest(environment), "", self.layout.root)
        except EnvyError:
            return None

    def write_launchers(self, started: int, chosen_root: str = "") -> None:
        """Write the launchers of the project after a sync that began at a time in nanoseconds.

        `chosen_root` is the cache that --cache-root named.
        """
        project = self.manifest.path.parent
        if self.cancellation is not None:
            return
        if not self.manifest.launchers and not (project / FOLDER).exists():
            return  # nor had an earlier manifest any
        from envy.engine.launchers import write_launchers
        from envy.engine.project_launchers import launchers_of

        own = (self.manifest, self.project_environment, started, chosen_root)
        warn = partial(self._engine.services.events.log, "warn")
        write_launchers(launchers_of(self._engine, *own), warn)

    def store_resolutions(self) -> None:
        """Store what unpinned sources were resolved to, for the next commands of this project."""
        store_resolutions(self._engine)
