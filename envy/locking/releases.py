"""The releases that Python requirements resolved to, as a lock has them and as uv reads them.

The digest of the requirements covers their lines and all releases, so that a release that a merge
dropped, or requirements that changed, are noticed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from envy.declarations.key import RecipeKey
from envy.declarations.requirements import Requirements
from envy.locking.lock import RELEASE, REQUIREMENTS, LockView, Topic
from envy.locking.subjects import package_of

_PREFIX = "pypi:"
Releases = Mapping[str, tuple[str, ...]]  # values of the lock by subject


def release_subject(project: str, marker: str) -> str:
    """Return what the lock calls a release: its project, and for which machines it is."""
    return f"{_PREFIX}{project}; {marker}" if marker else f"{_PREFIX}{project}"


def project_of(subject: str) -> str:
    """Return the project of a release in the lock."""
    return subject.removeprefix(_PREFIX).partition(";")[0]


def digest_of(wanted: Requirements, releases: Releases) -> str:
    """Return the digest that binds releases to the requirements that they are for."""
    import hashlib  # few commands look at requirements
    import json

    rows = [[subject, *values] for subject, values in sorted(releases.items())]
    text = json.dumps([wanted.subject, list(wanted.lines), rows])
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def entries_of(
    package: str, wanted: Requirements, releases: Releases
) -> Iterator[tuple[Topic, tuple[str, ...]]]:
    """Yield what the lock holds of requirements that were resolved."""
    yield (package, REQUIREMENTS, wanted.subject), (digest_of(wanted, releases),)
    for subject, values in releases.items():
        yield (package, RELEASE, subject), values


def locked_releases(view: LockView, package: str, wanted: Requirements) -> Releases | None:
    """Return the releases that the lock has for requirements; None if it has none for them."""
    found = view.facts.get((package, REQUIREMENTS, wanted.subject))
    if found is None:
        return None
    releases = view.releases(package)
    return releases if found == (digest_of(wanted, releases),) else None


def locked_text(view: LockView, key: RecipeKey, wanted: Requirements | None) -> str | None:
    """Return a requirements file with digests from the lock; None if the lock has none."""
    if wanted is None or not view.facts or not wanted.is_open:
        return None
    releases = locked_releases(view, package_of(key), wanted)
    if releases is None:
        return None
    lines = []
    for subject, (version, *files) in sorted(releases.items()):
        name, _, marker = subject.removeprefix(_PREFIX).partition(";")
        line = f"{name}=={version}" + (f" ;{marker}" if marker else "")
        lines.append(" ".join((line, *(f"--hash={digest}" for digest in files[1::3]))))
    return "\n".join([*lines, ""])


def locked_pin(view: LockView, key: RecipeKey, wanted: Requirements | None) -> tuple[str, ...]:
    """Return the ingredient of an entry key that is the resolution in the lock, if it has one."""
    if locked_text(view, key, wanted) is None or wanted is None:
        return ()
    [digest] = view.facts[package_of(key), REQUIREMENTS, wanted.subject]
    return (f"requirements {digest}",)
