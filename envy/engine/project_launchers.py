"""What the launchers of a project run, gathered from the graph at the end of a sync."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from envy.answers.launcher_text import Launch, LauncherCache
from envy.answers.program import with_scripts
from envy.answers.project_environment import OUTSIDE, ProjectEnvironment
from envy.cache.names import MARKER
from envy.cache.shims import without_shims
from envy.declarations.dotenv import read_dotenv
from envy.engine.launchers import Launchers
from envy.engine.stored_graph import evidence_of
from envy.errors import EnvyError
from envy.masking import masked

if TYPE_CHECKING:
    from envy.declarations.key import RecipeKey
    from envy.declarations.manifest import Manifest
    from envy.engine.engine import Engine
    from envy.graph.recipe import Recipe


def launchers_of(
    engine: Engine,
    manifest: Manifest,
    environment: Callable[..., ProjectEnvironment],
    started: int,
    chosen_root: str,
) -> Launchers:
    """Return what to write for a project; `environment` is `Session.project_environment`.

    `chosen_root` is the cache that --cache-root named, or "".

    Every program that a package provides has a launcher. It runs directly if the sync found
    the program, and if its variables may be written to the disk.
    """
    root = engine.services.layout.root
    if not manifest.launchers:
        # Only what an earlier manifest asked for is removed.
        return Launchers(folder="", manifest=manifest.path, root=str(root), started=started)
    graph = engine.graph
    roots = [key for key in graph.roots if not graph.recipes[key].excluded]
    recipes = [graph.recipes[key] for key in graph.run_closure(roots)]
    declared = environment(installed=False)
    try:
        path = without_shims(engine.services.environment.get("PATH", ""), root)
        found = with_scripts(environment(), path, root)
        launch = _launch(engine, manifest, found, recipes)
    except EnvyError:
        # Two values for one variable, or an invalid dotenv file: `envy run` says so.
        found, launch = declared, None
    return Launchers(
        folder=manifest.launchers,
        manifest=manifest.path,
        names=sorted({*_names(declared), *_names(found)}),
        links=dict(_links(manifest, [graph.recipes[key] for key in roots])),
        launch=launch,
        cache=LauncherCache(
            variable=engine.services.environment.get("ENVY_CACHE_ROOT", ""), chosen=chosen_root
        ),
        dotenv=declared.dotenv,
        root=str(root),
        started=started,
    )


def _names(environment: ProjectEnvironment) -> Iterable[str]:
    for name, providers in environment.providers.items():
        if providers[0].distance != OUTSIDE and any(found.is_program for found in providers):
            yield name


def _launch(
    engine: Engine, manifest: Manifest, environment: ProjectEnvironment, used: Iterable[Recipe]
) -> Launch | None:
    """Return what the stamp says; None if every program is left to `envy run`.

    Raises:
        ManifestError: the dotenv file is invalid.
    """
    evidence = evidence_of(manifest, engine.graph.recipes.values())
    dotenv = environment.dotenv
    variables = {**environment.variables, **(read_dotenv(Path(dotenv)) if dotenv else {})}
    if not evidence.lasting or any(masked(value) != value for value in variables.values()):
        return None
    files: list[str] = []
    absent: list[str] = []
    for path, digest in evidence.files.items():
        (absent if digest is None else files).append(path)
    if dotenv:
        (files if _exists(dotenv) else absent).append(dotenv)
    scripts = filter(_exists, environment.folders.get("PATH", ()))
    used = list(used)
    return Launch(
        programs=_programs(environment),
        variables=variables,
        folders=environment.folders,
        markers=[*_markers(used), *scripts],
        files=files,
        absent=absent,
        missing=sorted(recipe.key.canonical for recipe in used if _is_missing(recipe)),
    )


def _programs(environment: ProjectEnvironment) -> Mapping[str, str]:
    """Return the programs that a launcher may run directly, by name."""
    found = {}
    for name, [provider, *others] in environment.providers.items():
        is_direct = provider.usable and provider.is_program and not provider.user_managed
        if is_direct and provider.distance != OUTSIDE and not others:
            found[name] = provider.program
    return found


def _markers(recipes: Iterable[Recipe]) -> Iterable[str]:
    for recipe in recipes:
        placement = recipe.placement_or_none
        if placement is not None and not recipe.user_managed:
            marker = placement.entry.at(MARKER)
            if _exists(marker):
                yield marker


def _is_missing(recipe: Recipe) -> bool:
    if recipe.user_managed or recipe.excluded:
        return False
    placement = recipe.placement_or_none
    return placement is None or not _exists(placement.entry.at(MARKER))


def _exists(path: str) -> bool:
    """Return whether a path leads to something; a path that no system could have does not."""
    try:
        os.stat(path)  # noqa: PTH116 - Path.exists raises for such a path
    except OSError:
        return False
    return True


def _links(manifest: Manifest, recipes: Iterable[Recipe]) -> Iterable[tuple[str, str]]:
    """Return the folders of installed packages by alias, and by name if only one has it."""
    aliases: dict[RecipeKey, list[str]] = {}
    for alias, key in manifest.aliases.items():
        aliases.setdefault(key, []).append(alias)
    named: dict[str, list[str]] = {}
    for recipe in recipes:
        folder = recipe.asset_dir
        if folder is None or recipe.user_managed or not _exists(str(folder)):
            continue
        for name in aliases.get(recipe.key, ()):
            if "/" not in name and name not in {".", ".."}:
                yield name, str(folder)
        named.setdefault(recipe.key.name, []).append(str(folder))
    for name, folders in named.items():
        if len(folders) == 1 and name not in manifest.aliases:
            yield name, folders[0]
