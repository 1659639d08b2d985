"""install: fill the asset and publish it, or install a user-managed package."""

from __future__ import annotations

from envy.cache.read import payload_is_empty
from envy.cache.shims import write_shims
from envy.cache.write import publish
from envy.content import file_operations
from envy.errors import DeclarationError
from envy.execution.access import build_only
from envy.execution.explanation import key_record_text
from envy.execution.files_meter import files_meter
from envy.execution.phase_run import PhaseRun
from envy.execution.products import check_new_products, shims_of
from envy.execution.services import PhaseServices
from envy.execution.user_managed import install_user_managed
from envy.execution.verbs import run_verb
from envy.graph.recipe import Outcome, Recipe
from envy.phase import RecipePhase


def run_install_phase(recipe: Recipe, engine: PhaseServices) -> None:
    """Run `install`, and publish the asset.

    Raises:
        ScriptFailed, LuaScriptError: the recipe's `install` failed.
        DeclarationError: there is nothing to publish, or a product is missing.
        CacheError: the payload could not be published.
    """
    definition = recipe.loaded.definition
    if definition.user_managed:
        install_user_managed(recipe, engine)
        return
    entry = recipe.placement.entry
    with PhaseRun(recipe, engine, RecipePhase.INSTALL, run_dir=recipe.placement.asset_dir) as run:
        if definition.install is not None:
            run_verb(run, "install")
        elif payload_is_empty(entry):
            _publish_stage_tree(run)
        if not run.marked_complete and payload_is_empty(entry):
            raise _nothing_to_publish(recipe)
        check_new_products(recipe)
        shims = shims_of(recipe, engine)
    if shims:
        write_shims(entry, shims)
    publish(
        recipe.work.open_attempt,
        key_record_text(recipe, engine),
        forbidden=_build_only_paths(recipe, engine),
        writable=definition.writable,
        report=files_meter(recipe, engine.services.events, "hashing"),
        spellings=engine.services.spellings,
        written=recipe.work.written,
    )
    recipe.work.attempt = None
    recipe.work.written = None
    recipe.work.outcome = Outcome.INSTALLED


def _publish_stage_tree(run: PhaseRun) -> None:
    """Move the stage folder into the asset, for a recipe without `install`."""
    entry = run.recipe.placement.entry
    names = file_operations.ls(entry.stage_dir) if file_operations.exists(entry.stage_dir) else []
    for name in names:
        file_operations.move(entry.stage_dir / name, entry.asset_dir / name)
    if names:
        shown = ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")
        run.log.say("info", f"no install: the stage folder is published unchanged ({shown})")


def _nothing_to_publish(recipe: Recipe) -> DeclarationError:
    definition = recipe.loaded.definition
    what = "install left its folder empty" if definition.install else "nothing was fetched or built"
    return DeclarationError(
        f"there is nothing to publish: {what}",
        hint="put files into ctx.install_dir (the folder that install runs in), or call "
        "ctx.mark_install_complete() if the package is meant to be empty",
    )


def _build_only_paths(recipe: Recipe, engine: PhaseServices) -> dict[bytes, str]:
    """Return the paths of build dependencies, which may be missing when the package is used."""
    return {
        str(other.asset_dir).encode("utf-8", "surrogateescape"): other.key.canonical
        for other in build_only(recipe, engine)
    }
