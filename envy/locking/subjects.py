"""What the lock calls a package and a source: texts without secrets, alike on every machine."""

from __future__ import annotations

from envy.declarations.key import RecipeKey
from envy.declarations.sources import Scheme, SourceItem, scheme_of
from envy.locking.lock import LockedFile, LockView
from envy.masking import masked, masked_address


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
