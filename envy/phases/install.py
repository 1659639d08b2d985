"""install: fill the asset and publish it; or bring the machine to where a check holds."""

from __future__ import annotations

from envy.cache.read import payload_is_empty
from envy.cache.write import publish
from envy.content import file_operations
from envy.errors import DeclarationError
from envy.execution.access import build_only
from envy.execution.explanation import key_record_text
from envy.execution.phase_run import PhaseRun
from envy.execution.services import PhaseServices
from envy.execution.user_managed import install_user_managed
from envy.execution.verbs import run_verb
from envy.graph.recipe import Outcome, Recipe
from envy.phase import RecipePhase


def run_install_phase(recipe: Recipe, engine: PhaseServices) -> None:
    """Do what `install` says, and publish the asset.

    Raises:
        ScriptFailed, LuaScriptError: the recipe's own install failed.
        DeclarationError: there is nothing to publish.
        CacheError: the payload could not be published.
    """
    if recipe.user_managed:
        install_user_managed(recipe, engine)
        return
    definition = recipe.loaded.definition
    entry = recipe.placement.entry
    with PhaseRun(recipe, engine, RecipePhase.INSTALL, run_dir=entry.asset_dir) as run:
        if definition.install is not None:
            run_verb(run, "install")
        elif payload_is_empty(entry):
            _publish_stage_tree(run)
        if not run.marked_complete and payload_is_empty(entry):
            raise _nothing_to_publish(recipe)
        _warn_of_missing_products(run)
    publish(
        recipe.work.open_attempt,
        key_record_text(recipe, engine),
        forbidden=_build_only_paths(recipe, engine),
        writable=definition.writable,
    )
    recipe.work.attempt = None
    recipe.work.outcome = Outcome.INSTALLED


def _publish_stage_tree(run: PhaseRun) -> None:
    """Without an install of its own, what was staged or built is the asset."""
    entry = run.recipe.placement.entry
    names = file_operations.ls(entry.stage_dir) if file_operations.exists(entry.stage_dir) else []
    for name in names:
        file_operations.move(entry.stage_dir / name, entry.asset_dir / name)
    if names:
        shown = ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")
        run.log.say("info", f"no install: the stage folder is published as it is ({shown})")


def _warn_of_missing_products(run: PhaseRun) -> None:
    entry = run.recipe.placement.entry
    for name, path in run.recipe.loaded.provides.items():
        if not (entry.asset_dir / path).exists():
            run.log.say(
                "warn", f"the product {name} is {path}, and there is no such file in the asset"
            )


def _nothing_to_publish(recipe: Recipe) -> DeclarationError:
    definition = recipe.loaded.definition
    what = "install put nothing there" if definition.install else "nothing was fetched or built"
    return DeclarationError(
        f"there is nothing to publish: {what}",
        hint="put files into ctx.install_dir (the folder that install runs in), or say that an "
        "empty package is meant: ctx.mark_install_complete()",
    )


def _build_only_paths(recipe: Recipe, engine: PhaseServices) -> dict[bytes, str]:
    """Paths of what is there only to build: they may be gone when the package is used."""
    return {
        str(other.asset_dir).encode("utf-8", "surrogateescape"): other.key.canonical
        for other in build_only(recipe, engine)
    }
