"""deploy: repeatable registration after publishing; success is recorded beside the entry."""

from __future__ import annotations

from envy.cache.read import deploy_recorded
from envy.cache.write import record_deploy
from envy.execution.entry_lock import acquire_entry
from envy.execution.phase_run import PhaseRun
from envy.execution.services import PhaseServices
from envy.execution.verbs import run_verb
from envy.graph.recipe import Recipe
from envy.phase import RecipePhase


def run_deploy_phase(recipe: Recipe, engine: PhaseServices) -> None:
    """Run `deploy` once for each published entry.

    Raises:
        ScriptFailed, LuaScriptError: the recipe's `deploy` failed; the next run repeats it.
    """
    definition = recipe.loaded.definition
    entry = recipe.placement.entry
    if definition.deploy is None:
        return
    user_managed = recipe.user_managed
    if not user_managed:
        acquire_entry(recipe, engine)
        if deploy_recorded(entry):
            return
    run_dir = engine.services.project_dir if user_managed else entry.asset_dir
    with PhaseRun(recipe, engine, RecipePhase.DEPLOY, run_dir=run_dir) as run:
        run_verb(run, "deploy")
    if not user_managed:
        record_deploy(entry)
