"""Why uv failed, in a sentence that says what to do, where uv's own words do not.

uv knows nothing of the lock, of the recipes that ship with envy, or of who works offline.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Sequence

from envy.declarations.versions import nearest_versions
from envy.errors import EnvyError, FetchError, ScriptFailed
from envy.execution.phase_run import PhaseRun
from envy.execution.transfer import fetch_context
from envy.locking.lock import LOCK_NAME, update_command
from envy.locking.releases import locked_text
from envy.locking.subjects import package_of
from envy.suggest import nearest
from envy.transport.addresses import redacted
from envy.transport.context import FetchContext, Offline
from envy.transport.pip_configuration import PipConfiguration, pip_configuration

_NAME = r"([A-Za-z0-9][A-Za-z0-9._-]*)"
_UNKNOWN = re.compile(rf"\b{_NAME} was not found in the package registry")
_NOT_KEPT = re.compile(rf"\b{_NAME} was not found in the cache")
_NO_VERSION = re.compile(rf"there is no version of {_NAME}(?:\[[^\]]*\])?==([A-Za-z0-9.!+_-]+)")
_MISMATCH = re.compile(
    rf"Hash mismatch for `{_NAME}==([^`]+)` Expected: (.*) Computed: (\w+:[0-9a-f]+)"
)


def explained_failure(error: ScriptFailed, run: PhaseRun) -> EnvyError:
    """Return the failure of uv in other words, if there are better ones."""
    text = " ".join(error.tail.split())
    context = fetch_context(run.recipe, run.engine)
    if found := _MISMATCH.search(text):
        return _mismatch(found, error, run)
    if context.offline and (found := _NOT_KEPT.search(text)):
        return _offline(f"{found[1]} of the package index", context) or error
    with contextlib.suppress(FetchError):  # the index does not answer now
        if found := _UNKNOWN.search(text):
            return _no_project(found[1], pip_configuration(context))
        if found := _NO_VERSION.search(text):
            return _no_version(found[1], found[2], context)
    return error


def _offline(needed: str, context: FetchContext) -> EnvyError | None:
    try:
        context.check_online(needed)
    except Offline as error:
        return error
    return None


def _mismatch(found: re.Match[str], error: ScriptFailed, run: PhaseRun) -> EnvyError:
    """Return that a file is not the one that the lock has."""
    recipe, lock = run.recipe, run.engine.services.lock
    if locked_text(lock, recipe.key, recipe.loaded.definition.requirements) is None:
        return error
    package = package_of(recipe.key)
    name, version, expected, computed = found.groups()
    wanted = " or ".join(expected.split())
    return FetchError(
        f"{LOCK_NAME}: {package} release pypi:{name}: the digest of {name} {version} is {wanted}, "
        f"but what was downloaded has {computed}: if what changed is right, run "
        f"{update_command(package)}",
        uri=f"pypi:{name}=={version}",
    )


def _no_project(name: str, configuration: PipConfiguration) -> FetchError:
    from envy.declarations.shipped_table import identities

    shipped = [identity.partition("@")[0].removeprefix("envy.") for identity in identities()]
    near = nearest(name, shipped)
    hint = "check its spelling, and the index that pip is configured for"
    return FetchError(
        f"there is no package {name}; looked in {_where(configuration.indexes)}",
        uri=f"pypi:{name}",
        hint=f"did you mean {near}, which ships with envy? Else {hint}" if near else hint,
    )


def _no_version(name: str, version: str, context: FetchContext) -> FetchError:
    from envy.transport.pypi import files_of
    from envy.transport.wheel_choice import versions_of

    configuration = pip_configuration(context)
    files = [
        file
        for index in configuration.indexes
        for file in files_of(index, name, context, configuration.certificates)
    ]
    near = nearest_versions(version, versions_of(name, files))
    return FetchError(
        f"there is no version {version} of {name}; looked in {_where(configuration.indexes)}",
        uri=f"pypi:{name}=={version}",
        hint=f"the nearest versions: {', '.join(near)}" if near else "",
    )


def _where(indexes: Sequence[str]) -> str:
    return " and ".join(redacted(index) for index in indexes)
