"""The environment of a recipe's scripts, and of `os.getenv` in its phases.

fetch, check and user-managed scripts inherit the user's environment. stage, build and install
start from a short list, so that a build does not depend on the variables of the user who runs it.
"""

from __future__ import annotations

import os.path
from collections.abc import Iterable, Mapping

from envy.errors import DeclarationError
from envy.execution.access import exporting, searched_by_compilers
from envy.execution.services import PhaseServices
from envy.graph.recipe import Recipe
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
        DeclarationError: two dependencies export different values for one variable, or are
            variants of one package for a compiler to find.
    """
    inherited = engine.services.environment
    if phase in _ISOLATED and not recipe.user_managed:
        definition = recipe.loaded.definition
        variables = _isolated(inherited, (*definition.pass_env, *definition.secret_env))
        variables["TMPDIR"] = str(recipe.placement.entry.tmp_dir)
    else:
        variables = dict(inherited)
    providers = exporting(recipe, engine, phase)
    searched = searched_by_compilers(recipe, engine, phase, providers)
    exported = exported_environment(providers, variables, searched=searched)
    variables.update(exported)
    variables.update(_own_variables(recipe, engine))
    # git must not climb from a folder of the cache to a repository that the cache lies in.
    ceilings = (str(engine.services.layout.root), variables.get("GIT_CEILING_DIRECTORIES", ""))
    variables["GIT_CEILING_DIRECTORIES"] = _LIST_SEPARATOR.join(filter(None, ceilings))
    return variables


def _isolated(inherited: Mapping[str, str], passed: Iterable[str]) -> dict[str, str]:
    names = {*_PASSED, *_PASSED_ON_WINDOWS, *passed}
    variables = {
        name: value
        for name, value in inherited.items()
        if name in names or name.upper() in _NETWORK
    }
    variables["LANG"] = "C.UTF-8"
    return variables


def _own_variables(recipe: Recipe, engine: PhaseServices) -> dict[str, str]:
    loaded, placement = recipe.loaded_or_none, recipe.placement_or_none
    variables = {
        "ENVY_RECIPE_DIR": str(loaded.recipe_dir) if loaded is not None else "",
        "ENVY_CORES": str(engine.services.cores),
    }
    if placement is not None and not recipe.user_managed:
        variables["ENVY_INSTALL_DIR"] = str(placement.entry.asset_dir)
        variables["ENVY_STAGE_DIR"] = str(placement.entry.stage_dir)
        variables["ENVY_FETCH_DIR"] = str(placement.entry.fetch_dir)
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
    providers: Iterable[Recipe],
    base: Mapping[str, str],
    *,
    searched: Iterable[Recipe] | None = None,
) -> dict[str, str]:
    """Return the variables that packages export on top of `base`; the nearest package comes first.

    Only the packages of `searched`, by default all, count for CMAKE_PREFIX_PATH and
    PKG_CONFIG_PATH.

    Raises:
        DeclarationError: two packages export different values for one variable.
    """
    lists: dict[str, list[str]] = {"PATH": [], "CMAKE_PREFIX_PATH": [], "PKG_CONFIG_PATH": []}
    variables: dict[str, str] = {}
    sources: dict[str, Recipe] = {}
    found = None if searched is None else {recipe.key for recipe in searched}
    for provider in providers:
        if provider.loaded_or_none is None:
            continue
        asset, exports = str(provider.asset_dir or ""), provider.loaded.exports
        lists["PATH"] += _asset_paths(asset, exports.path)
        if found is None or provider.key in found:
            lists["CMAKE_PREFIX_PATH"] += _asset_paths(asset, exports.cmake_prefix)
            lists["PKG_CONFIG_PATH"] += _asset_paths(asset, exports.pkg_config)
        for name, template in exports.env.items():
            value = template.replace("{{asset}}", asset)
            if variables.setdefault(name, value) != value:
                raise DeclarationError(
                    f"{sources[name].key} and {provider.key} export different values for {name}: "
                    f"{variables[name]!r} and {value!r}",
                    hint="depend on only one of them, or drop the variable from the exports of one",
                )
            sources.setdefault(name, provider)
    for name, folders in lists.items():
        if folders:
            old = base.get(name, "")
            variables[name] = _LIST_SEPARATOR.join([*folders, *([old] if old else [])])
    return variables


def _asset_paths(asset: str, paths: Iterable[str]) -> list[str]:
    # ruff: noqa: PTH118 - normalised as text: a Path would keep `..` and cost more
    return [
        os.path.normpath(os.path.join(asset, path.replace("{{asset}}", asset))) for path in paths
    ]
