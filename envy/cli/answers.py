"""What a run has found out, kept so that the next command is warm."""

from __future__ import annotations

from pathlib import Path

from envy.cache.resolved import Answer, Known, save_answer
from envy.cli.wiring import Session
from envy.evidence import Evidence
from envy.recipe import Recipe
from envy.recipe_key import RecipeKey
from envy.recipe_spec import Use


def keep_answer(session: Session) -> None:
    """Keep what the manifest resolved to, unless something failed or may change unseen."""
    engine = session.engine
    if engine.cancellation is not None or any(
        node.failure is not None for node in engine.coordination.values()
    ):
        return
    manifest = session.manifest
    evidence = Evidence(files={str(manifest.path): manifest.digest})
    evidence.note_variables(manifest.reads.variables)
    evidence.files.update({str(path): digest for path, digest in manifest.reads.files.items()})
    keys = sorted(engine.recipes)
    for key in keys:
        evidence.add(engine.recipes[key].evidence)
    if not evidence.lasting:
        return
    positions = {key: position for position, key in enumerate(keys)}
    root = session.services.layout.root
    answer = Answer(
        recipes=[_known(engine.recipes[key], positions, root) for key in keys],
        roots=[positions[key] for key in engine.roots],
        aliases={alias: positions[key] for alias, key in manifest.aliases.items()},
    )
    save_answer(root, manifest.path, answer, evidence, platform=session.services.platform)


def _known(recipe: Recipe, positions: dict[RecipeKey, int], root: Path) -> Known:
    definition = recipe.definition
    user_managed = bool(definition and definition.user_managed)
    is_known = recipe.entry is not None and not user_managed
    return Known(
        key=recipe.key.canonical,
        alias=definition.alias if definition else "",
        location=recipe.entry.location[len(str(root)) :] if recipe.entry else "",
        entry_key=recipe.entry_key if is_known else "",
        user_managed=user_managed,
        excluded=recipe.excluded,
        deploys=bool(definition and definition.deploy),
        needs=tuple(positions[edge.key] for edge in recipe.edges if edge.use is Use.RUN),
    )
