"""`ctx.uv`: the uv of the recipe's dependencies, with the cache that all environments share.

uv gets its settings from here alone, so that a package does not depend on the user's: the folder of
its cache, the indexes of the user's pip, and what makes two builds equal.
"""

from __future__ import annotations

from collections.abc import Sequence

from envy.cache.filesystem import explained
from envy.cache.wheels import close_wheels, open_copies
from envy.errors import FetchError, ScriptFailed
from envy.execution.access import product_of
from envy.execution.phase_run import PhaseRun, RunOptions
from envy.execution.transfer import fetch_context
from envy.locking.releases import locked_text
from envy.masking import remember_address
from envy.phase import RecipePhase
from envy.transport.pip_configuration import pip_settings

# How the user reaches an index; everything else that uv reads from the environment is dropped.
_USERS = frozenset(
    {
        "UV_CONCURRENT_DOWNLOADS",
        "UV_HTTP_TIMEOUT",
        "UV_KEYRING_PROVIDER",
        "UV_NATIVE_TLS",
        "UV_OFFLINE",
        "UV_SYSTEM_CERTS",
    }
)
# Python environments that the user is in, and what would change the compiled modules.
_OTHERS = frozenset({"CONDA_PREFIX", "PYTHONHOME", "PYTHONPATH", "VIRTUAL_ENV"})


def run_uv(run: PhaseRun, words: Sequence[str]) -> None:
    """Run uv; only the fetch phase may request anything.

    Raises:
        DeclarationError: no dependency provides uv; ScriptFailed: uv failed.
        FetchError: pip is configured for no index, or everything must have a digest.
        CacheError: a mode cannot be set.
    """
    _check_has_digests(run, words)
    uv = product_of(run.recipe, run.engine, run.phase, "uv")
    is_writable = run.recipe.loaded.definition.writable
    variables = {
        "UV_CACHE_DIR": str(run.engine.services.layout.uv_root),
        # A writable package must not change what others share.
        "UV_LINK_MODE": "copy" if is_writable else "hardlink",
        "UV_NO_CONFIG": "1",
        "UV_NO_PROGRESS": "1",
        "UV_PYTHON_DOWNLOADS": "never",
        "UV_PYTHON_PREFERENCE": "only-system",
        # Python does not compare the compiled modules with their sources, which never change.
        "PYC_INVALIDATION_MODE": "UNCHECKED_HASH",
        "PYTHONHASHSEED": "0",
        "SOURCE_DATE_EPOCH": "315532800",  # 1980, the first that a wheel can have
    }
    variables |= _indexes(run)  # in every phase: uv keeps the wheels of each index apart
    if run.phase is not RecipePhase.FETCH:
        variables["UV_OFFLINE"] = "1"
    dropped = {name for name in run.environment if name.startswith("UV_")} - _USERS
    try:
        run.run_program([uv, *words], RunOptions(env=variables), without=dropped | _OTHERS)
    except ScriptFailed as error:
        from envy.execution.uv_failure import explained_failure

        raise explained_failure(error, run) from error
    folder = str(run.run_dir)
    try:
        if is_writable:
            open_copies(folder)
        elif run.phase is RecipePhase.FETCH:
            close_wheels(folder)
    except OSError as error:
        raise explained(error, doing="set the modes of a wheel", path=folder) from error


def locked_requirements(run: PhaseRun) -> str | None:
    """Return what the lock has for the requirements of the recipe, as a requirements file."""
    recipe = run.recipe
    return locked_text(run.engine.services.lock, recipe.key, recipe.loaded.definition.requirements)


def _check_has_digests(run: PhaseRun, words: Sequence[str]) -> None:
    """Check that nothing is resolved, if the manifest says that each download must have a digest.

    Raises:
        FetchError: uv is to resolve requirements.
    """
    if run.engine.services.require_digest and tuple(words[:2]) == ("pip", "compile"):
        raise FetchError(
            "the requirements have no digests, and the manifest says `require_digest`",
            uri="pypi:",
            hint="lock them with `envy lock`",
        )


def _indexes(run: PhaseRun) -> dict[str, str]:
    """Return the variables that name the indexes of the user's pip, all equal, as in pip."""
    found = pip_settings(fetch_context(run.recipe, run.engine))
    for address in (found.index, *found.extra):
        remember_address(address)
    variables = {
        "UV_DEFAULT_INDEX": found.index,
        "UV_INDEX": " ".join(found.extra),
        "UV_INDEX_STRATEGY": "unsafe-best-match",
    }
    if not found.index:
        del variables["UV_DEFAULT_INDEX"]
    if found.certificates:
        variables["SSL_CERT_FILE"] = found.certificates
    return variables
