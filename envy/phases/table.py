"""The table of the phases: the functions that the engine runs for a recipe, phase by phase.

A phase changes its own recipe, reads completed dependencies, and never touches another worker.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from envy.execution.services import PhaseServices
from envy.graph.recipe import Recipe
from envy.keying.find_entry import find_entry
from envy.keying.host_programs import ask_ahead
from envy.keying.without_entry import is_source_known, place_without_entry
from envy.phase import RecipePhase
from envy.phases.build import run_build_phase
from envy.phases.check import run_check_phase
from envy.phases.completion import run_completion_phase
from envy.phases.deploy import run_deploy_phase
from envy.phases.fetch import run_fetch_phase
from envy.phases.install import run_install_phase
from envy.phases.recipe_fetch import run_recipe_fetch_phase
from envy.phases.stage import run_stage_phase

PHASES: Mapping[int, Callable[[Recipe, PhaseServices], None]] = {
    RecipePhase.RECIPE_FETCH: run_recipe_fetch_phase,
    RecipePhase.CHECK: run_check_phase,
    RecipePhase.FETCH: run_fetch_phase,
    RecipePhase.STAGE: run_stage_phase,
    RecipePhase.BUILD: run_build_phase,
    RecipePhase.INSTALL: run_install_phase,
    RecipePhase.DEPLOY: run_deploy_phase,
    RecipePhase.COMPLETION: run_completion_phase,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Steps:
    """The functions that the engine runs for a recipe; the engine decides when.

    `find_entry` computes a recipe's entry key from the keys of its dependencies, and looks its
    entry up; `ask_ahead` starts what the keys of several recipes will need. `is_source_fetched`
    returns whether a custom source's recipe is in the cache.
    """

    phases: Mapping[int, Callable[[Recipe, PhaseServices], None]]
    find_entry: Callable[[Recipe, PhaseServices, Sequence[str]], None]
    is_source_fetched: Callable[[Recipe, PhaseServices], bool]
    ask_ahead: Callable[[Iterable[Recipe], PhaseServices], None] = lambda _recipes, _engine: None


def _is_source_fetched(recipe: Recipe, engine: PhaseServices) -> bool:
    from envy.execution.custom_fetch import is_source_fetched  # few projects have such a source

    return is_source_fetched(recipe, engine)


STEPS = Steps(
    phases=PHASES,
    find_entry=find_entry,
    is_source_fetched=_is_source_fetched,
    ask_ahead=ask_ahead,
)

# Of a graph that is only resolved, to lock it for another platform.
RESOLVING = Steps(
    phases={RecipePhase.RECIPE_FETCH: run_recipe_fetch_phase},
    find_entry=place_without_entry,
    is_source_fetched=is_source_known,
)
