"""Making a lock: the facts of each platform, found by resolving the project for it in process.

The facts of a platform depend on the manifest, the recipes, the present lock and what is upstream,
never on this machine or on timing.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from envy.engine.failures import is_left_out
from envy.engine.lock_downloads import values_of
from envy.engine.lock_facts import custom_recipes, facts_of
from envy.engine.lock_requirements import RequirementsResolver
from envy.errors import Cancelled, EnvyError, InternalError, PhaseFailed
from envy.execution.recipe_lua import release_lua_state
from envy.host.named_platforms import USUAL_PLATFORMS, named_platform
from envy.locking.lock import (
    CHOICE,
    DOWNLOAD,
    EVERYWHERE,
    UNLOCKED,
    LockError,
    LockView,
    ProjectLock,
    Topic,
    combined,
    view_of,
)
from envy.locking.subjects import package_of
from envy.transport.context import NoAnswer, Offline

if TYPE_CHECKING:
    from envy.declarations.manifest import Manifest
    from envy.engine.engine import Engine
    from envy.engine.lock_facts import OpenRequirements
    from envy.engine.lock_use import LockUse
    from envy.host.platform import Platform

Values = dict[Topic, tuple[str, ...]]
# Resolves the project for a platform, with what the lock says about it, and returns its values.
FindValues = Callable[["Platform", LockView], Values]
# Opens the project for a platform, with the files of custom recipes; nothing can be installed.
OpenOther = Callable[
    ["Platform", LockView, Mapping[str, Path]], "AbstractContextManager[tuple[Engine, Manifest]]"
]
_REMEDY = "correct that, or let `platforms` of the manifest list the platforms of the project"
_NEEDS_TOOLS = "its source needs tools that are not installed"


@dataclass(slots=True)
class MadeLock:
    """A new lock, the one before, and the platforms that are not in it, with the reasons."""

    lock: ProjectLock
    before: ProjectLock | None
    problem: str = ""  # what is wrong with the file that was there
    left_out: dict[str, str] = field(default_factory=dict)


def lock_project(
    engine: Engine,
    manifest: Manifest,
    use: LockUse,
    open_other: OpenOther | None,
    *,
    named: Sequence[str] = (),
    installs: bool = True,
) -> MadeLock:
    """Return the lock of a project; `engine` is that of this machine, with its tools.

    Raises:
        EnvyError: the project does not resolve on a platform that was asked for, or on none.
    """
    if open_other is None:
        raise InternalError("this session cannot resolve for another platform")
    if installs:
        # What fails here fails on the platform of this machine, too, and is reported there.
        with contextlib.suppress(EnvyError):
            engine.resolve_graph(manifest.packages)
        if engine.cancellation is not None:
            raise engine.cancellation
    known = custom_recipes(engine)
    due: dict[str, list[OpenRequirements]] = {}
    resolver = RequirementsResolver(engine, installs=installs)

    def find_values(platform: Platform, view: LockView) -> Values:
        with open_other(platform, view, known) as (other, other_manifest):
            try:
                other.resolve_graph(other_manifest.packages)
                values, due[view.platform] = values_of_graph(other, other_manifest, view)
                return values
            finally:
                # Thousands of recipes on five platforms: each open state takes memory.
                for recipe in other.graph.recipes.values():
                    release_lua_state(recipe, other)

    def resolve(name: str) -> Values:
        view = _known_of(use, name)
        rows = [resolver.values_of(each, view).items() for each in due[name]]
        return {topic: values for row in rows for topic, values in row}

    return make_lock(manifest, use, find_values, resolve, named=named)


def wanted_platforms(
    manifest: Manifest, old: ProjectLock | None, named: Sequence[str]
) -> tuple[Sequence[str], frozenset[str]]:
    """Return the platforms to lock, sorted, and those of them that have to resolve.

    Those are what the command or the manifest names, and what the lock already has.

    Raises:
        DeclarationError: a name is not a platform. LockError: the manifest leaves it out.
    """
    before = old.platforms if old else ()
    for name in named:
        named_platform(name)
        if manifest.platforms and name not in manifest.platforms:
            raise LockError(
                f"`platforms` of the manifest has no {name}: add it there, then run `envy lock`"
            )
    if named:
        wanted: Sequence[str] = sorted(set(named))
        return wanted, frozenset(wanted)
    if manifest.platforms:
        return manifest.platforms, frozenset(manifest.platforms)
    return sorted({*USUAL_PLATFORMS, *before}), frozenset(before)


def make_lock(
    manifest: Manifest,
    use: LockUse,
    find_values: FindValues,
    resolve: Callable[[str], Values] = lambda _name: {},
    *,
    named: Sequence[str] = (),
) -> MadeLock:
    """Return the lock of a project; with `named` platforms, others stay as they are.

    `resolve` returns what requirements resolve to on a platform whose values were found. It runs
    programs, so it is called when no other project is open.

    Raises:
        EnvyError: a platform that has to resolve does not, or none does, or a server does not
            answer, so that it is not known whether one does.
    """
    wanted, required = wanted_platforms(manifest, use.lock, named)
    facts: dict[str, Values] = {}
    left_out: dict[str, str] = {}
    error: EnvyError | None = None
    for name in wanted:
        try:
            facts[name] = find_values(named_platform(name), _known_of(use, name))
        except Cancelled:
            raise
        except EnvyError as failure:
            if name in required or _may_pass(failure):
                hint = "" if _may_pass(failure) else _REMEDY
                raise LockError(
                    f"the project does not resolve on {name}: {failure}", hint=hint
                ) from failure
            error = error or failure
            left_out[name] = _reason(failure)
    if error is not None and not facts:
        raise error
    for name, values in facts.items():
        values.update(resolve(name))
    if named and use.lock is not None:
        for name in set(use.lock.platforms) - set(named):
            facts[name] = dict(view_of(use.lock, name).facts)
    return MadeLock(combined(facts), use.lock, use.problem, left_out)


def _may_pass(failure: EnvyError) -> bool:
    """Return whether the platform may resolve another time, when a server is asked and answers."""
    cause = failure.cause if isinstance(failure, PhaseFailed) else failure
    return isinstance(cause, (NoAnswer, Offline))


def _reason(failure: EnvyError) -> str:
    """Return why a platform does not resolve, in one line."""
    if isinstance(failure, PhaseFailed):
        return f"{failure.key}: {str(failure.cause).splitlines()[0]}"
    return str(failure).splitlines()[0]


def _known_of(use: LockUse, name: str) -> LockView:
    """Return what the lock says about a platform; of a new one, what is true everywhere."""
    view = view_of(use.lock, name, without=use.updated)
    if view.covers or use.lock is None:
        return view
    facts = {
        entry.topic: entry.values
        for entry in use.lock.entries
        if entry.platform == EVERYWHERE
        and entry.kind not in {CHOICE, UNLOCKED}
        and entry.package not in use.updated
        and not (entry.kind == DOWNLOAD and entry.subject.startswith("pypi:"))
    }
    return LockView(facts, name, exists=True)


def values_of_graph(
    engine: Engine, manifest: Manifest, view: LockView
) -> tuple[Values, list[OpenRequirements]]:
    """Return the values of what a lock holds of a resolved graph, and what is to be resolved.

    Raises:
        EnvyError: a recipe failed, or a digest cannot be found.
    """
    for failure in engine.failures():
        raise failure
    facts = facts_of(engine, manifest, is_strict=True)
    values = {**facts.values, **values_of(facts.downloads, engine, view)}
    for key in engine.graph.recipes:
        if is_left_out(engine.coordination.failure(key)):
            values[package_of(key), UNLOCKED, _NEEDS_TOOLS] = ()
    return values, facts.resolutions


def differences(old: ProjectLock | None, new: ProjectLock) -> list[str]:
    """Return what is removed (`-`) and added (`+`) by a new lock, as lines that name entries."""
    before = old or ProjectLock()
    gone = [f"- platform {name}" for name in before.platforms if name not in new.platforms]
    come = [f"+ platform {name}" for name in new.platforms if name not in before.platforms]
    changes = [
        *((entry, "-") for entry in set(before.entries) - set(new.entries)),
        *((entry, "+") for entry in set(new.entries) - set(before.entries)),
    ]
    # What is removed stands above what takes its place.
    changes.sort(key=lambda change: (change[0].topic, change[1] == "+", change[0]))
    lines = [
        " ".join((sign, entry.package, entry.kind, entry.platform, entry.subject, *entry.values))
        for entry, sign in changes
    ]
    return [*gone, *come, *lines]
