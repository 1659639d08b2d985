"""What the lock calls a package and a source: texts without secrets, alike on every machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from envy.declarations.key import RecipeKey
from envy.declarations.sources import Scheme, SourceItem, local_path, scheme_of
from envy.locking.lock import LockedFile, LockView
from envy.masking import masked, masked_address

if TYPE_CHECKING:
    from envy.declarations.bundles import Bundle


def package_of(key: RecipeKey) -> str:
    """Return the name of a package in the lock: its canonical key, in which secrets are masked."""
    return masked(key.canonical)


def subject_of(item: SourceItem) -> str:
    """Return the name of a source: its address without user info, and what chooses a file of it."""
    address = masked_address(item.source)
    scheme = scheme_of(item.source)
    if scheme is Scheme.GIT:
        return f"{address}#{item.ref}" if item.ref else address
    if scheme is Scheme.PYPI:
        python = f"#python={item.python}" if item.python else ""
        return f"{address}{python}{'#sdist' if item.kind == 'sdist' else ''}"
    return address


def subject_of_bundle(bundle: Bundle, project: Path) -> str:
    """Return the name of a bundle: its address, or its path in the project.

    A folder or file outside of the project has none that another machine would know: "".
    """
    item = bundle.item
    if scheme_of(item.source) not in {Scheme.LOCAL, Scheme.FILE}:
        return subject_of(item)
    path = local_path(item)
    return path.relative_to(project).as_posix() if path.is_relative_to(project) else ""


def locked_file(view: LockView, key: RecipeKey, item: SourceItem) -> LockedFile | None:
    """Return what the lock says about a file of a package; None if it says nothing."""
    if not view.facts or scheme_of(item.source) in {Scheme.LOCAL, Scheme.FILE, Scheme.GIT}:
        return None
    package, subject = package_of(key), subject_of(item)
    pin = view.pin(package, subject)
    return view.file(package, subject) or (LockedFile(package, "", pin) if pin else None)


def constraint_of(option: str, asked: str) -> str:
    """Return the name of a constraint on an option."""
    return masked(f"{option} {asked}")


def locked_version(view: LockView, key: RecipeKey, option: str, asked: str) -> str:
    """Return the version that the lock has for a constraint; "" if it has none."""
    return view.version(package_of(key), constraint_of(option, asked)) if view.facts else ""


def locked_commit(view: LockView, key: RecipeKey, item: SourceItem) -> str:
    """Return the commit of a repository of a package; "" if the lock has none."""
    return view.commit(package_of(key), subject_of(item)) if view.facts else ""
