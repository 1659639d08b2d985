"""The phases of a recipe: one module each, in one dispatch table.

A phase touches its own recipe and reads completed dependencies; never another's worker.
"""

from collections.abc import Callable, Mapping

from envy.phase import RecipePhase
from envy.phases.build import run_build_phase
from envy.phases.check import run_check_phase
from envy.phases.completion import run_completion_phase
from envy.phases.deploy import run_deploy_phase
from envy.phases.fetch import run_fetch_phase
from envy.phases.install import run_install_phase
from envy.phases.recipe_fetch import run_recipe_fetch_phase
from envy.phases.stage import run_stage_phase
from envy.phases.surface import Engine
from envy.recipe import Recipe

PHASES: Mapping[int, Callable[[Recipe, Engine], None]] = {
    RecipePhase.RECIPE_FETCH: run_recipe_fetch_phase,
    RecipePhase.CHECK: run_check_phase,
    RecipePhase.FETCH: run_fetch_phase,
    RecipePhase.STAGE: run_stage_phase,
    RecipePhase.BUILD: run_build_phase,
    RecipePhase.INSTALL: run_install_phase,
    RecipePhase.DEPLOY: run_deploy_phase,
    RecipePhase.COMPLETION: run_completion_phase,
}
