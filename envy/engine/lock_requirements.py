"""Resolving Python requirements for a lock: once for all platforms, by the project's own uv.

What the lock has stays while it is for the same requirements; if they changed, uv prefers the
releases that it has.
"""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from envy.content.scratch import scratch_folder
from envy.declarations.requirements import OLDEST_PYTHON
from envy.engine.installed import missing_packages
from envy.errors import Cancelled, EnvyError, ScriptFailed
from envy.execution.ctx_uv import run_uv
from envy.execution.phase_run import PhaseRun
from envy.locking.lock import RELEASE, UNKNOWN, UNLOCKED, LockError, LockView, Topic
from envy.locking.releases import (
    Releases,
    entries_of,
    locked_releases,
    project_of,
    release_subject,
)
from envy.phase import RecipePhase

if TYPE_CHECKING:
    from envy.declarations.key import RecipeKey
    from envy.engine.engine import Engine
    from envy.engine.lock_facts import OpenRequirements
    from envy.graph.recipe import Recipe

_NEEDS_UV = "its requirements are resolved with uv, which is not installed"
_HEAD = 'lock-version = "1.0"\ncreated-by = "envy"\n'
_ALGORITHMS = ("sha256", "sha384", "sha512")  # the first that a file has is taken
Values = Mapping[Topic, tuple[str, ...]]


class RequirementsResolver:
    """Resolves requirements with a uv of the project, which it installs when it is first needed.

    `engine` is that of this machine, with its graph resolved. Without `installs`, only a uv that is
    installed already is used.
    """

    def __init__(self, engine: Engine, *, installs: bool) -> None:
        self._engine = engine
        self._installs = installs
        self._carrier: Recipe | None = None  # a recipe that depends on uv, when that is complete
        self._is_ready = False
        self._known: dict[tuple[object, ...], Releases] = {}

    def values_of(self, resolution: OpenRequirements, view: LockView) -> Values:
        """Return what the lock is to hold of requirements.

        Raises:
            LockError: they do not resolve, or to something that has no digest.
        """
        package, wanted = resolution.package, resolution.wanted
        releases = locked_releases(view, package, wanted)
        if releases is None:
            if not self._is_ready:
                self._carrier, self._is_ready = self._completed(), True
            if self._carrier is None:
                return {(package, UNLOCKED, _NEEDS_UV): ()}
            preferred = _preferred(package, view)
            known = (wanted, tuple(preferred))
            if known not in self._known:
                self._known[known] = self._resolved(self._carrier, resolution, preferred)
            releases = self._known[known]
        return dict(entries_of(package, wanted, releases))

    def _completed(self) -> Recipe | None:
        """Return a recipe whose uv is complete; None if there is none, or it may not be installed.

        Raises:
            EnvyError: uv cannot be installed.
        """
        engine = self._engine
        for key in sorted(engine.graph.recipes):
            recipe = engine.graph.recipes[key]
            tools = self._tools_of(recipe)
            if not tools:
                continue
            if not self._installs:
                engine.prepare(tools)
                return None if missing_packages(engine, tools) else self._with(recipe, tools)
            return self._with(recipe, tools)
        return None

    def _tools_of(self, recipe: Recipe) -> list[RecipeKey]:
        engine = self._engine
        is_usable = engine.coordination.failure(recipe.key) is None
        if not is_usable or recipe.loaded_or_none is None or recipe.excluded:
            return []
        if recipe.loaded.definition.requirements is None:
            return []
        edges = engine.graph.edges(recipe.key)
        return [edge.key for edge in edges if edge.needed_by <= RecipePhase.FETCH]

    def _with(self, recipe: Recipe, tools: list[RecipeKey]) -> Recipe:
        self._engine.complete_tools(tools)
        for key in tools:
            failure = self._engine.failure_of(key)
            if failure is not None:
                raise failure
        return recipe

    def _resolved(
        self, carrier: Recipe, resolution: OpenRequirements, preferred: list[str]
    ) -> Releases:
        package, wanted = resolution.package, resolution.wanted
        oldest = wanted.python or OLDEST_PYTHON
        words = [
            *("pip", "compile", "--quiet", "--universal", "--generate-hashes", "--no-header"),
            *("--format", "pylock.toml", "--output-file", "pylock.toml"),
            *("--python", sys.executable, "--python-version", oldest),
            "requirements.in",
        ]
        with scratch_folder("lock") as folder:
            (folder / "requirements.in").write_text("\n".join([*wanted.lines, ""]), "utf-8")
            if preferred:
                text = "\n".join([_HEAD, *preferred])
                (folder / "pylock.toml").write_text(text, "utf-8")
            run = PhaseRun(carrier, self._engine, RecipePhase.FETCH, run_dir=folder)
            try:
                with run:
                    run_uv(run, words)
            except Cancelled:
                raise
            except EnvyError as error:
                if self._engine.cancellation is not None:
                    raise self._engine.cancellation from error  # uv was ended with the run
                said = error.tail if isinstance(error, ScriptFailed) else str(error)
                raise LockError(f"the requirements of {package} do not resolve: {said}") from error
            return _releases_in(folder / "pylock.toml", package, oldest)


def _preferred(package: str, view: LockView) -> list[str]:
    """Return the releases that the lock has for the same recipe, as tables of a pylock.toml."""
    identity = package.partition("{")[0]
    found = {
        (project_of(subject), values[0])
        for (owner, kind, subject), values in view.facts.items()
        if kind == RELEASE and owner.partition("{")[0] == identity
    }
    # uv prefers only releases that are said to be from an index; from which one does not matter.
    return [
        f'[[packages]]\nname = "{name}"\nversion = "{version}"\nindex = "https://index.invalid"\n'
        for name, version in sorted(found)
    ]


def _releases_in(path: Path, package: str, oldest: str) -> Releases:
    """Return the releases of a pylock.toml.

    Raises:
        LockError: one is not a release of an index, or a file of it has no digest.
    """
    releases: dict[str, tuple[str, ...]] = {}
    for row in tomllib.loads(path.read_text("utf-8")).get("packages", []):
        files = [*row.get("wheels", []), *filter(None, [row.get("sdist")])]
        if not files or "version" not in row:
            raise LockError(
                f"the requirements of {package} need {row['name']} from an address, which has no "
                "digest: publish it in an index, or give all lines digests"
            )
        subject = release_subject(row["name"], _short(row.get("marker", ""), oldest))
        triples = sorted(_file(file, row["name"], package) for file in files)
        releases[subject] = (row["version"], *(word for triple in triples for word in triple))
    return releases


def _file(file: Mapping[str, object], project: str, package: str) -> tuple[str, str, str]:
    address = str(file.get("url") or file.get("path") or "")
    name = str(file.get("name") or unquote(urlsplit(address).path).rpartition("/")[2])
    hashes = file.get("hashes")
    known: Mapping[str, object] = hashes if isinstance(hashes, dict) else {}
    algorithm = next((each for each in _ALGORITHMS if each in known), "")
    if not algorithm:
        raise LockError(
            f"the requirements of {package} need {project}, and its index has no digest of {name}"
        )
    return name, f"{algorithm}:{known[algorithm]}", str(file.get("size") or UNKNOWN)


def _short(marker: str, oldest: str) -> str:
    """Return a marker without the oldest Python, which holds for all releases.

    uv writes that or not, depending on the other releases.
    """
    first, _, rest = marker.partition(" and ")
    is_only = first == f"python_full_version >= '{oldest}'" and " or " not in marker
    return rest if is_only else marker
