"""Goals: completes the packages that a command requests.

A goal is completed together with everything that is wanted for it (envy.engine.demand).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from envy.declarations.key import RecipeKey
from envy.engine.cancellation import Cancellation
from envy.engine.default_shell import DefaultShell
from envy.engine.demand import Demand
from envy.engine.entry_keys import EntryKeys
from envy.engine.failures import Failures
from envy.engine.priorities import Priorities
from envy.engine.recipe_coordination import RecipeCoordination
from envy.engine.usage import Usage
from envy.graph.recipe import Outcome, Recipe
from envy.phase import RecipePhase

if TYPE_CHECKING:
    from envy.engine.shared_entries import SharedEntries


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """The result of one wanted recipe."""

    key: RecipeKey
    outcome: Outcome | None  # None: failed, aborted or cancelled
    user_managed: bool
    asset_dir: Path | None
    failure: Exception | None


class Goals:
    """Computes the keys of goals, decides what is wanted for them, and completes them."""

    def __init__(
        self,
        coordination: RecipeCoordination,
        *,
        keys: EntryKeys,
        shell: DefaultShell,
        demand: Demand,
        priorities: Priorities,
        usage: Usage,
        failures: Failures,
        cancellation: Cancellation,
        sharing: SharedEntries | None = None,
    ) -> None:
        self.is_resolved = False  # whether the whole graph is known
        self._coordination = coordination
        self._keys = keys
        self._shell = shell
        self._demand = demand
        self._priorities = priorities
        self._usage = usage
        self._failures = failures
        self._cancellation = cancellation
        self._sharing = sharing

    def exempt_tools(self, tools: Iterable[RecipeKey]) -> None:
        """Let tools use the built-in shell, if the manifest's cannot be known yet."""
        self._shell.exempt_tools(tools)

    def compute_keys(self, goals: Iterable[RecipeKey]) -> None:
        """Compute the entry keys of the goals' closure, and look its entries up."""
        self._shell.choose(is_resolved=self.is_resolved)
        self._keys.compute(goals)

    def prepare(self, goals: Iterable[RecipeKey]) -> None:
        """Compute entry keys, look entries up, and decide what is wanted; run no phase."""
        goals = list(goals)
        self.compute_keys(goals)
        self._demand.want(goals)

    def complete(self, goals: Iterable[RecipeKey]) -> None:
        """Start completing the goals and everything that is wanted for them."""
        goals = list(goals)
        self._prepare_to_work(goals)
        self._usage.rely_upon()
        self._coordination.raise_targets(self._demand.wanted_closure(goals), RecipePhase.COMPLETION)

    def run_until(self, goal: RecipeKey, phase: RecipePhase, needed: Iterable[RecipeKey]) -> None:
        """Complete what is wanted of `needed`, and run the goal until `phase`; wait for that."""
        self.prepare([goal])
        self._usage.rely_upon()
        wanted = self._demand.wanted_closure(needed)
        self._coordination.raise_targets(wanted, RecipePhase.COMPLETION)
        self._coordination.raise_targets([goal], phase)
        self._coordination.wait([goal], phase)
        self._failures.explain()

    def wait_for_fetches(self) -> None:
        """Block until every declared recipe has been fetched, or has failed.

        Raises:
            Cancelled: the run has been cancelled.
        """
        self._coordination.wait_until_idle()
        self._cancellation.raise_if_cancelled()

    def run(self, goals: Sequence[RecipeKey]) -> list[Result]:
        """Complete the goals and everything that is wanted for them.

        Returns a result for each wanted recipe, in key order; raises nothing for a failed one.
        """
        self._prepare_to_work(goals)
        with self._usage.recorded(goals):
            wanted = [recipe.key for recipe in self._demand.wanted()]
            self._coordination.raise_targets(wanted, RecipePhase.COMPLETION)
            try:
                # A recipe that becomes wanted during the run may end after the one that wanted it.
                while unfinished := self._unfinished():
                    self._coordination.wait(unfinished, RecipePhase.COMPLETION)
            finally:
                self._failures.explain()
                self._priorities.remember()
                self._finish_uploads()
        return [self._result(recipe) for recipe in self._demand.wanted()]

    def _prepare_to_work(self, goals: Sequence[RecipeKey]) -> None:
        """Prepare, and take what depots have of it: of such a package nothing else is wanted."""
        self.compute_keys(goals)
        if self._sharing is not None:
            self._sharing.take(goals)
        self._demand.want(goals)

    def _finish_uploads(self) -> None:
        if self._sharing is None:
            return
        is_cancelled = self._cancellation.reason is not None
        if not is_cancelled:
            # The worker that completed the last recipe may not have begun to store it yet.
            for recipe in self._demand.wanted():
                self._sharing.uploads.begin(recipe)
        self._sharing.uploads.finish(is_cancelled=is_cancelled)

    def _unfinished(self) -> list[RecipeKey]:
        keys = [recipe.key for recipe in self._demand.wanted()]
        return [key for key in keys if not self._coordination[key].ended]

    def _result(self, recipe: Recipe) -> Result:
        is_complete = self._coordination.is_complete(recipe.key)
        return Result(
            key=recipe.key,
            outcome=recipe.work.outcome if is_complete else None,
            user_managed=recipe.user_managed,
            asset_dir=recipe.asset_dir,
            failure=self._coordination.failure(recipe.key),
        )
