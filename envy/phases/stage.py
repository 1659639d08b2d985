"""stage: unpack the fetched files into the stage folder, or directly into the asset."""

from __future__ import annotations

from pathlib import Path

from envy.declarations import fields
from envy.declarations.locations import location_of_function
from envy.declarations.tables import StageTable, parse_stage_table
from envy.errors import DeclarationError
from envy.execution.phase_run import PhaseRun
from envy.execution.services import PhaseServices
from envy.execution.verbs import run_verb
from envy.graph.recipe import Recipe
from envy.lua.values import LuaFunction
from envy.phase import RecipePhase


def stage_destination(recipe: Recipe) -> Path:
    """Return the folder to stage into: the asset, if the recipe has no build and no install."""
    definition = recipe.loaded.definition
    entry = recipe.placement.entry
    direct = definition.build is None and definition.install is None
    return entry.asset_dir if direct else entry.stage_dir


def run_stage_phase(recipe: Recipe, engine: PhaseServices) -> None:
    """Run `stage`; by default, extract every archive and copy other files.

    Raises:
        ArchiveError: an archive is damaged, or a member would be extracted outside the folder.
    """
    definition = recipe.loaded.definition
    verb = definition.stage
    if verb is None and not recipe.work.fetched:
        return
    destination = stage_destination(recipe)
    with PhaseRun(recipe, engine, RecipePhase.STAGE, run_dir=destination) as run:
        strip: int | None = 0
        if isinstance(verb, StageTable):
            strip = verb.strip
        elif verb is not None:
            answer = run_verb(run, "stage")
            strip = _strip_from_answer(answer, verb)
        if strip is not None:
            from envy.execution.unpack import take_unpacked_ahead, unpack_all

            unpack_all(run, ".", strip=strip, ahead=take_unpacked_ahead(run, strip=strip))


def _strip_from_answer(answer: object, verb: str | LuaFunction) -> int | None:
    """Return the `strip` that a stage function returned; None if it unpacked the files itself."""
    if answer is None or isinstance(verb, str):
        return None
    if not isinstance(answer, dict):
        raise DeclarationError(
            f"`stage` must return nothing, or a table such as {{ strip = 1 }}, not "
            f"{fields.describe(answer)}",
            origin=location_of_function(verb),
        )
    return parse_stage_table(answer, location_of_function(verb)).strip
