"""build: run the recipe's `build` in the stage folder."""

from __future__ import annotations

from envy.execution.phase_run import PhaseRun
from envy.execution.services import PhaseServices
from envy.execution.verbs import run_verb
from envy.graph.recipe import Recipe
from envy.phase import RecipePhase


def run_build_phase(recipe: Recipe, engine: PhaseServices) -> None:
    """Run `build`, if the recipe has it.

    Raises:
        ScriptFailed: a command failed; LuaScriptError: the function failed.
    """
    definition = recipe.loaded.definition
    entry = recipe.placement.entry
    if definition.build is None:
        return
    with PhaseRun(recipe, engine, RecipePhase.BUILD, run_dir=entry.stage_dir) as run:
        run_verb(run, "build")
