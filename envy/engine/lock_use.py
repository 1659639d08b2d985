"""How a command uses `envy.lock`: it obeys it, needs it to be complete, or writes it anew."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from envy.content.file_digest import file_digest
from envy.declarations.key import Query, RecipeKey
from envy.errors import DeclarationError
from envy.host.named_platforms import name_of_platform
from envy.locking.lock import LOCK_NAME, NO_LOCK, LockError, LockView, ProjectLock, view_of
from envy.locking.subjects import package_of

if TYPE_CHECKING:
    from envy.declarations.manifest import Manifest
    from envy.execution.services import Services
    from envy.host.platform import Platform


class LockMode(enum.Enum):
    """What a command does with the lock."""

    OBEYED = "obeyed"  # what it lacks is looked up, with one warning
    REQUIRED = "required"  # it must be there and complete
    REMADE = "remade"  # what it has is kept where the project allows it


@dataclass(frozen=True, slots=True)
class LockOrder:
    """How a command wants to use the lock.

    `updates` are queries for packages whose entries are looked up again.
    """

    mode: LockMode = LockMode.OBEYED
    updates: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class LockUse:
    """The lock of a run, as it was read, and what it says about the platform of the run.

    `updated` are the packages whose entries are looked up again. `problem` is what is wrong with
    the file, if it is made anew from the part of it that can be read.
    """

    mode: LockMode = LockMode.OBEYED
    lock: ProjectLock | None = None
    view: LockView = NO_LOCK
    updated: tuple[str, ...] = ()
    problem: str = ""

    @property
    def checks(self) -> bool:
        """Whether the project is compared with the lock."""
        return self.view.exists and self.mode is not LockMode.REMADE


IGNORED = LockUse()


def lock_path(manifest: Path) -> Path:
    """Return the path of the lock of a manifest."""
    return manifest.parent / LOCK_NAME


def use_lock(manifest: Manifest, platform: Platform, order: LockOrder) -> LockUse:
    """Read the lock of a manifest, whose evidence from now on includes the file.

    Raises:
        LockError: the lock is damaged, or is required and missing.
    """
    path = lock_path(manifest.path)
    manifest.reads.files[path] = file_digest(str(path))
    mode, updates, problem, lock = order.mode, order.updates, "", None
    if path.exists() or path.is_symlink():
        from envy.locking.text import read_lock, readable_part

        if mode is LockMode.REMADE:
            lock, problem = readable_part(path)
        else:
            lock = read_lock(path)
    if lock is None and mode is LockMode.REQUIRED:
        raise LockError(f"{LOCK_NAME} is missing, and --locked needs it: run `envy lock`")
    updated = tuple(matching_packages(lock, manifest, updates)) if lock and updates else ()
    view = view_of(lock, name_of_platform(platform), without=updated)
    return LockUse(mode, lock, view, updated, problem)


def matching_packages(lock: ProjectLock, manifest: Manifest, queries: Iterable[str]) -> list[str]:
    """Return the packages of a lock that one of the queries means.

    Raises:
        DeclarationError: a query names no package.
    """
    found: set[str] = set()
    packages = {entry.package for entry in lock.entries}
    for text in queries:
        alias = manifest.aliases.get(text)
        if alias is not None:
            found.add(package_of(alias))
            continue
        query = Query.parse(text)
        found.update(package for package in packages if _matches(query, package))
    return sorted(found)


def _matches(query: Query, package: str) -> bool:
    try:
        return query.matches(RecipeKey.parse(package))
    except DeclarationError:  # the manifest's own entries, or what masking changed
        return False


def locked_services(services: Services, manifest: Manifest, use: LockUse) -> Services:
    """Return the services of a run that fetches what the lock says, and what the manifest allows.

    A lock that is made anew looks up what has no digest yet.
    """
    is_strict = manifest.require_digest and use.mode is not LockMode.REMADE
    return replace(
        services,
        lock=use.view,
        require_digest=is_strict,
        mirrors=manifest.mirrors,
        bundles=manifest.bundles,
    )
