"""What a run has found out, kept so that the next command is warm."""

from __future__ import annotations

from collections.abc import Sequence

from envy.answers.evidence import Evidence
from envy.answers.write import Known, save_answer
from envy.cli.wiring import Session
from envy.declarations.key import RecipeKey
from envy.declarations.spec import DependencyUse
from envy.graph.recipe import Edge, Recipe


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
    evidence.lasting = manifest.reads.lasting and not manifest.warnings
    keys = sorted(engine.graph.recipes)
    for key in keys:
        evidence.add(engine.graph.recipes[key].evidence)
    if not evidence.lasting:
        return
    positions = {key: position for position, key in enumerate(keys)}
    save_answer(
        session.services.layout.root,
        manifest.path,
        evidence,
        recipes=[
            _known(engine.graph.recipes[key], engine.graph.edges(key), positions) for key in keys
        ],
        roots=[positions[key] for key in engine.graph.roots],
        aliases={alias: positions[key] for alias, key in manifest.aliases.items()},
    )


def _known(recipe: Recipe, edges: Sequence[Edge], positions: dict[RecipeKey, int]) -> Known:
    loaded, placement = recipe.loaded_or_none, recipe.placement_or_none
    is_known = placement is not None and not recipe.user_managed
    return Known(
        key=recipe.key.canonical,
        alias=recipe.alias,
        place=placement.entry.name if placement is not None else "",
        entry_key=recipe.entry_key if is_known else "",
        user_managed=recipe.user_managed,
        excluded=recipe.excluded,
        deploys=bool(loaded and loaded.definition.deploy),
        needs=tuple(positions[edge.key] for edge in edges if edge.use is DependencyUse.RUN),
    )
