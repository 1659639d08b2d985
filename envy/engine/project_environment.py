"""The environment of a project's programs, gathered from the resolved graph.

It consists of the packages that the manifest lists and of what those need to run, nearest first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from envy.answers.project_environment import (
    OUTSIDE,
    ProjectEnvironment,
    Provider,
    nearest_providers,
    why_ambiguous,
)
from envy.cache.shims import refusing_text, script_folder
from envy.declarations.key import RecipeKey
from envy.declarations.spec import DependencyUse
from envy.execution.access import is_searched
from envy.execution.script_environment import exported_folders, exported_variables
from envy.graph.distances import Near, nearest_first
from envy.graph.recipe import Recipe
from envy.graph.recipe_graph import RecipeGraph

_NO_BYTECODE = "PYTHONDONTWRITEBYTECODE"
_PYTHONS = frozenset({"python", "pypy"})


def environment_of(
    graph: RecipeGraph,
    starts: Iterable[RecipeKey],
    *,
    usable: Callable[[Recipe], bool],
    products: Callable[[Recipe], Mapping[str, str]],
) -> ProjectEnvironment:
    """Return the environment of some packages and what they need to run.

    `usable` says whether a package is installed. If all that it needs to run is installed too,
    `products` is called, which returns the values of its products. Any other package provides its
    names, and nothing else.

    Raises:
        DeclarationError: two packages that are equally near export different values for one
            variable.
    """
    starts = list(starts)
    rows = nearest_first(graph, starts, include=_is_here)
    complete: set[RecipeKey] = set()
    for key in graph.run_closure(starts):
        needed = (edge.key for edge in graph.edges(key) if edge.use is DependencyUse.RUN)
        if complete.issuperset(needed) and usable(graph.recipes[key]):
            complete.add(key)
    present = [row for row in rows if row.recipe.key in complete]
    searched = {
        row.recipe.key
        for row in nearest_first(graph, starts, include=_is_here, follow=is_searched)
        if is_searched(row.recipe)
    }
    values = {row.recipe.key: products(row.recipe) for row in present}
    # Modules of packages are compiled when they are published. For others, and for other Pythons,
    # an import would write into the package, whatever its mode says, if root runs it.
    keeps = {_NO_BYTECODE: "1"} if any(_has_python(row.recipe, values) for row in present) else {}
    return ProjectEnvironment(
        providers=_providers(graph, rows, values),
        folders=_folders(present, values, searched),
        variables={**keeps, **exported_variables(present)},
    )


def _has_python(recipe: Recipe, values: Mapping[RecipeKey, Mapping[str, str]]) -> bool:
    """Return whether programs of a package in the cache run Python from it."""
    folder = recipe.asset_dir
    if folder is None:
        return False
    names = (name.rstrip("0123456789.") for name in values[recipe.key])
    return any(name in _PYTHONS for name in names) or (folder / "pyvenv.cfg").is_file()


def refusing(environment: ProjectEnvironment, root: Path) -> ProjectEnvironment:
    """Return an environment in which some names fail when a program runs them.

    They are the names whose package is missing, and those that several packages provide equally
    near: otherwise a program of the machine would run instead. `root` is that of the cache.

    Raises:
        CacheError: the scripts that refuse cannot be written.
    """
    refused = {}
    for name, found in environment.providers.items():
        if found[0].distance == OUTSIDE:
            continue
        if len(found) > 1:
            refused[name] = refusing_text(why_ambiguous(name, found))
        elif not found[0].usable:
            reason = f"{name} is a product of {found[0].package}, which is not installed"
            refused[name] = refusing_text(reason)
    if not refused:
        return environment
    path = [str(script_folder(root, refused)), *environment.folders.get("PATH", ())]
    return replace(environment, folders={**environment.folders, "PATH": path})


def _is_here(recipe: Recipe) -> bool:
    return not recipe.excluded


def _providers(
    graph: RecipeGraph, rows: Iterable[Near], values: Mapping[RecipeKey, Mapping[str, str]]
) -> dict[str, list[Provider]]:
    """Return the nearest providers of each name that any package of the graph provides."""
    distances = {row.recipe.key: row.distance for row in rows}
    others = [recipe for key, recipe in sorted(graph.recipes.items()) if key not in distances]
    found: dict[str, list[Provider]] = {}
    for recipe in [*(row.recipe for row in rows), *filter(_is_here, others)]:
        known = values.get(recipe.key)
        for name in {**recipe.provides, **(known or recipe.work.products)}:
            declared = recipe.provides.get(name)
            provider = Provider(
                package=recipe.key.canonical,
                entry=_entry_name(recipe),
                distance=distances.get(recipe.key, OUTSIDE),
                program=known.get(name, "") if known is not None else "",
                is_program=declared is None or declared.is_program,
                usable=known is not None,
            )
            found.setdefault(name, []).append(provider)
    return {name: nearest_providers(providers) for name, providers in found.items()}


def _entry_name(recipe: Recipe) -> str:
    placement = recipe.placement_or_none
    return placement.entry.name if placement is not None and not recipe.user_managed else ""


def _folders(
    present: Iterable[Near],
    values: Mapping[RecipeKey, Mapping[str, str]],
    searched: Iterable[RecipeKey],
) -> dict[str, list[str]]:
    """Return the folders that come first in PATH and in the variables of compilers."""
    found: dict[str, dict[str, None]] = {}
    for row in present:
        key = row.recipe.key
        path = found.setdefault("PATH", {})
        for name, value in values[key].items():
            declared = row.recipe.provides.get(name)
            folder, _, file = value.rpartition("/")
            # A user-managed product that is only a name is on PATH already.
            if folder and file == name and (declared is None or declared.is_program):
                path[folder] = None
        for name, folders in exported_folders(row.recipe, compiles=key in searched).items():
            found.setdefault(name, {}).update(dict.fromkeys(folders))
    return {name: list(folders) for name, folders in found.items()}
