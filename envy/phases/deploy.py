"""deploy: repeatable registration work after publishing; its success is kept beside the entry."""

from __future__ import annotations

from envy.cache.read import deploy_recorded
from envy.cache.write import record_deploy
from envy.graph.recipe import Recipe
from envy.phase import RecipePhase
from envy.phases.setting import setting
from envy.phases.surface import Engine
from envy.phases.user_managed import is_user_managed
from envy.phases.verbs import call_verb
from envy.phases.work import take_entry


def run_deploy_phase(recipe: Recipe, engine: Engine) -> None:
    """Call `deploy`, once for each published entry.

    Raises:
        ScriptFailed, LuaScriptError: the recipe's own deploy failed; it is tried again next time.
    """
    definition = recipe.definition
    entry = recipe.entry
    assert definition is not None
    assert entry is not None
    if definition.deploy is None:
        return
    user_managed = is_user_managed(recipe)
    if not user_managed:
        take_entry(recipe, engine)
        if deploy_recorded(entry):
            return
    run_dir = engine.services.project_dir if user_managed else entry.asset_dir
    with setting(recipe, engine, RecipePhase.DEPLOY, run_dir=run_dir) as place:
        call_verb(place, definition.deploy)
    if not user_managed:
        record_deploy(entry)
