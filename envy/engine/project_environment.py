"""The environment of a project's programs, gathered from the resolved graph.

It consists of the packages that the manifest lists and of what those need to run, nearest first.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Mapping, Sequence

from envy.answers.project_environment import (
    OUTSIDE,
    ProjectEnvironment,
    Provider,
    nearest_providers,
)
from envy.declarations.key import RecipeKey
from envy.declarations.spec import DependencyUse
from envy.execution.access import is_searched
from envy.execution.script_environment import exported_folders, exported_variables
from envy.graph.distances import Near, nearest_first
from envy.graph.recipe import Recipe, one_of_each
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
    searched: set[RecipeKey] = set()
    if any(is_searched(row.recipe) for row in rows):  # in most projects, none is
        near = nearest_first(graph, starts, include=_is_here, follow=is_searched)
        searched = {row.recipe.key for row in near if is_searched(row.recipe)}
    values = {row.recipe.key: products(row.recipe) for row in present}
    providers = _providers(graph, rows, values)
    folders = _folders(present, values, searched)
    # Modules of packages are compiled when they are published. For others, and for other Pythons,
    # an import would write into the package, whatever its mode says, if root runs it.
    keeps = {_NO_BYTECODE: "1"} if any(_has_python(row.recipe, values) for row in present) else {}
    return ProjectEnvironment(
        providers=providers,
        folders=folders,
        variables={**keeps, **exported_variables(present)},
        in_front=_in_front(providers, folders.get("PATH", ())),
    )


def _has_python(recipe: Recipe, values: Mapping[RecipeKey, Mapping[str, str]]) -> bool:
    """Return whether programs of a package in the cache run Python from it."""
    folder = recipe.asset_dir
    if folder is None:
        return False
    names = (name.rstrip("0123456789.") for name in values[recipe.key])
    return any(name in _PYTHONS for name in names) or os.path.isfile(f"{folder}/pyvenv.cfg")  # noqa: PTH113  for each package of a project


def _is_here(recipe: Recipe) -> bool:
    return not recipe.excluded


def _providers(
    graph: RecipeGraph, rows: Iterable[Near], values: Mapping[RecipeKey, Mapping[str, str]]
) -> dict[str, list[Provider]]:
    """Return the nearest providers of each name that any package of the graph provides."""
    distances = {row.recipe.key: row.distance for row in rows}
    others = [graph.recipes[key] for key in sorted(graph.recipes.keys() - distances.keys())]
    found: dict[str, list[Provider]] = {}
    # Of packages with one entry, the nearest provides its names.
    for recipe in one_of_each([*(row.recipe for row in rows), *filter(_is_here, others)]):
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
                user_managed=recipe.user_managed,
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
        # The folder of a user-managed product may be /usr/bin, which must not come first.
        provides = {} if row.recipe.user_managed else row.recipe.provides
        for name, product in provides.items():
            folder, _, file = values[key][name].rpartition("/")
            if product.is_program and file == name:
                path[folder] = None
        for name, folders in exported_folders(row.recipe, compiles=key in searched).items():
            found.setdefault(name, {}).update(dict.fromkeys(folders))
    return {name: list(folders) for name, folders in found.items()}


def _in_front(providers: Mapping[str, Sequence[Provider]], path: Sequence[str]) -> dict[str, str]:
    """Return the programs that the folders do not lead to, by name.

    They are outside of the cache, or another folder comes first, with a file of that name that is
    not a product.
    """
    first: dict[str, str] = {}
    for folder in path if len(path) > 1 else ():
        with contextlib.suppress(OSError):
            for file in os.listdir(folder):  # noqa: PTH208  names, not paths
                first.setdefault(file, folder)
    found = {}
    for name, [provider, *others] in providers.items():
        program = provider.program
        if others or provider.distance == OUTSIDE or not provider.is_program or "/" not in program:
            continue
        folder = program.rpartition("/")[0]
        if provider.user_managed or first.get(name, folder) != folder:
            found[name] = program
    return found
