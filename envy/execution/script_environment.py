"""The environment of a recipe's scripts, and of `os.getenv` in its phases.

fetch, check and user-managed scripts inherit the user's environment. stage, build and install
start from a short list, so that a build does not depend on the variables of the user who runs it.
"""

from __future__ import annotations

import os.path
from collections.abc import Iterable, Mapping

from envy.answers.project_environment import joined_folders
from envy.cache.names import ASSET, FETCH, STAGE, TMP
from envy.errors import DeclarationError
from envy.execution.access import exporting, searched_by_compilers
from envy.execution.services import PhaseServices
from envy.graph.distances import Near
from envy.graph.recipe import Recipe
from envy.host.offline import offline_variables
from envy.phase import RecipePhase

_PASSED = ("PATH", "HOME", "USER", "TERM", "LOGNAME")
_PASSED_ON_WINDOWS = ("SYSTEMROOT", "COMSPEC", "PATHEXT", "USERPROFILE", "TEMP", "WINDIR")
# Proxies and certificates; in any case of letters, since programs differ.
_NETWORK = frozenset(
    {
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "FTP_PROXY",
        "ALL_PROXY",
        "NO_PROXY",
        "SSL_CERT_FILE",
        "SSL_CERT_DIR",
        "CURL_CA_BUNDLE",
        "REQUESTS_CA_BUNDLE",
        "GIT_SSL_CAINFO",
        "PIP_CERT",
        "NODE_EXTRA_CA_CERTS",
        "NIX_SSL_CERT_FILE",
    }
)
_ISOLATED = frozenset({RecipePhase.STAGE, RecipePhase.BUILD, RecipePhase.INSTALL})
_LIST_SEPARATOR = os.path.pathsep


def script_environment(recipe: Recipe, engine: PhaseServices, phase: RecipePhase) -> dict[str, str]:
    """Return all variables of a script in this phase.

    Raises:
        DeclarationError: two dependencies that are equally near export different values for one
            variable, or are variants of one package for a compiler to find.
    """
    inherited = engine.services.environment
    if phase in _ISOLATED and not recipe.user_managed:
        definition = recipe.loaded.definition
        variables = _isolated(inherited, (*definition.pass_env, *definition.secret_env))
        variables["TMPDIR"] = recipe.work_paths(phase).at(TMP)
    else:
        variables = dict(inherited)
    if engine.services.offline:
        variables.update(offline_variables(variables))
    providers = exporting(recipe, engine, phase)
    searched = searched_by_compilers(recipe, engine, phase, providers)
    exported = exported_environment(providers, variables, searched=searched)
    variables.update(exported)
    variables.update(_own_variables(recipe, engine, phase))
    # git must not climb from a folder of the cache to a repository that the cache lies in.
    ceilings = (str(engine.services.layout.root), variables.get("GIT_CEILING_DIRECTORIES", ""))
    variables["GIT_CEILING_DIRECTORIES"] = _LIST_SEPARATOR.join(filter(None, ceilings))
    return variables


def is_for_this_machine(name: str) -> bool:
    """Return whether a variable of isolated scripts says something about this machine or user."""
    return name in {"USER", "LOGNAME", *_PASSED_ON_WINDOWS} or name.upper() in _NETWORK


def _isolated(inherited: Mapping[str, str], passed: Iterable[str]) -> dict[str, str]:
    names = {*_PASSED, *_PASSED_ON_WINDOWS, *passed}
    variables = {
        name: value
        for name, value in inherited.items()
        if name in names or name.upper() in _NETWORK
    }
    variables["LANG"] = "C.UTF-8"
    return variables


def _own_variables(recipe: Recipe, engine: PhaseServices, phase: RecipePhase) -> dict[str, str]:
    loaded, placement = recipe.loaded_or_none, recipe.placement_or_none
    variables = {
        "ENVY_RECIPE_DIR": str(loaded.recipe_dir) if loaded is not None else "",
        "ENVY_CORES": str(engine.services.cores),
    }
    if placement is not None and not recipe.user_managed:
        paths = recipe.work_paths(phase)
        variables["ENVY_INSTALL_DIR"] = paths.at(ASSET)
        variables["ENVY_STAGE_DIR"] = paths.at(STAGE)
        variables["ENVY_FETCH_DIR"] = paths.at(FETCH)
    for name, value in recipe.options.items():
        if isinstance(value, bool):
            variables[option_variable(name)] = "true" if value else "false"
        elif isinstance(value, str | int | float):
            variables[option_variable(name)] = str(value)
    return variables


def option_variable(name: str) -> str:
    """Return the name of the variable that holds an option: `ENVY_OPTION_<NAME>`."""
    return "ENVY_OPTION_" + "".join(c if c.isalnum() else "_" for c in name).upper()


def exported_environment(
    providers: Iterable[Near],
    base: Mapping[str, str],
    *,
    searched: Iterable[Recipe] = (),
) -> dict[str, str]:
    """Return the variables that packages export on top of `base`; the nearest package comes first.

    Only the packages of `searched` count for CMAKE_PREFIX_PATH and PKG_CONFIG_PATH.

    Raises:
        DeclarationError: two packages that are equally near export different values for one
            variable.
    """
    providers = list(providers)
    found = {recipe.key for recipe in searched}
    lists: dict[str, list[str]] = {}
    for provider in providers:
        compiles = provider.recipe.key in found
        for name, folders in exported_folders(provider.recipe, compiles=compiles).items():
            lists.setdefault(name, []).extend(folders)
    joined = {name: joined_folders(folders, base.get(name, "")) for name, folders in lists.items()}
    return {**exported_variables(providers), **joined}


def exported_folders(recipe: Recipe, *, compiles: bool = True) -> dict[str, list[str]]:
    """Return the folders that a package puts before those of each variable.

    Without `compiles`, these are only the folders for PATH.
    """
    if recipe.loaded_or_none is None:
        return {}
    asset, exports = str(recipe.asset_dir or ""), recipe.loaded.exports
    lists = {"PATH": exports.path}
    if compiles:
        lists["CMAKE_PREFIX_PATH"] = exports.cmake_prefix
        lists["PKG_CONFIG_PATH"] = exports.pkg_config
    return {name: _asset_paths(asset, paths) for name, paths in lists.items() if paths}


def exported_variables(providers: Iterable[Near]) -> dict[str, str]:
    """Return the plain variables that packages export; the nearest package that sets one decides.

    Raises:
        DeclarationError: two packages that are equally near export different values for one
            variable.
    """
    variables: dict[str, str] = {}
    deciding: dict[str, Near] = {}
    for provider in providers:
        recipe = provider.recipe
        if recipe.loaded_or_none is None:
            continue
        asset = str(recipe.asset_dir or "")
        for name, template in recipe.loaded.exports.env.items():
            value = template.replace("{{asset}}", asset)
            first = deciding.setdefault(name, provider)
            if variables.setdefault(name, value) != value and first.distance == provider.distance:
                raise DeclarationError(
                    f"{first.recipe.key} and {recipe.key} export different values for {name}: "
                    f"{variables[name]!r} and {value!r}",
                    hint="leave one out, with `exports = false` in its entry, or drop the variable "
                    "from the exports of one",
                )
    return variables


def _asset_paths(asset: str, paths: Iterable[str]) -> list[str]:
    # ruff: noqa: PTH118 - normalised as text: a Path would keep `..` and cost more
    return [
        os.path.normpath(os.path.join(asset, path.replace("{{asset}}", asset))) for path in paths
    ]
