"""Whether a resolved graph is what the lock says: what the lock lacks, and what it contradicts.

Asks nobody: a digest that was changed upstream is found when the file is fetched.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from envy.engine.lock_facts import Download, OpenRequirements, facts_of
from envy.engine.lock_use import LockMode, LockUse
from envy.locking.lock import (
    BUNDLE,
    CHOICE,
    COMMIT,
    LOCK_NAME,
    MANIFEST,
    RECIPE,
    RELEASE,
    REQUIREMENTS,
    UNLOCKED,
    VERSION,
    LockError,
    LockView,
    Topic,
    update_command,
)
from envy.locking.releases import digest_of

if TYPE_CHECKING:
    from envy.declarations.manifest import Manifest
    from envy.engine.engine import Engine
    from envy.engine.lock_facts import Facts

_HAS = {BUNDLE: "the manifest has", RECIPE: "its recipe has"}


# What another platform may need; where the package is needed, its digest covers its releases.
_NOT_OF_PLATFORM = frozenset({RELEASE, REQUIREMENTS, UNLOCKED})


@dataclass(frozen=True, slots=True)
class Comparison:
    """The differences, as texts that name their entries; each list is in the order of packages."""

    lacking: list[str]  # the lock has no such entry
    contradicting: list[str]  # it says something else; with the command
    unused: list[str]  # the project has no such entry


def compare(engine: Engine, manifest: Manifest, view: LockView) -> Comparison:
    """Compare a resolved graph with the lock."""
    facts = facts_of(engine, manifest, is_strict=False)
    found = Comparison([], [], [])
    sources = {topic[0]: topic[2] for topic in view.facts if topic[1] == RECIPE}
    for topic, values in sorted(facts.values.items()):
        if topic[1] == UNLOCKED:
            if topic[0] not in view.unlocked:
                found.lacking.append(_shown(topic))
        else:
            _compare_values(topic, values, view, found, sources.get(topic[0], ""))
    for download in facts.downloads:
        if download.topic[0] not in view.unlocked:
            _compare_download(download, view, found)
    for resolution in facts.resolutions:
        if resolution.package not in view.unlocked:
            _compare_resolution(resolution, view, found)
    found.unused.extend(_unused(facts, view))
    return found


def _compare_values(
    topic: Topic, values: tuple[str, ...], view: LockView, found: Comparison, source: str
) -> None:
    """Compare one fact; `source` is where the lock has the package's recipe from."""
    package, kind, subject = topic
    locked = view.facts.get(topic)
    if locked == values:
        return
    if kind in {BUNDLE, RECIPE} and locked is not None:
        found.contradicting.append(
            _contradiction(topic, "digest or commit", locked[0], values[0], _HAS[kind])
        )
        return
    if kind == VERSION and locked is not None:
        found.contradicting.append(
            _contradiction(topic, "version", locked[0], values[0], "its recipe takes")
        )
        return
    if kind == RECIPE and package in view.unlocked:
        return  # it was locked without the tools that fetch it
    if kind == RECIPE and source:
        known = (package, RECIPE, source)
        found.contradicting.append(_contradiction(known, "source", source, subject, "it is from"))
        return
    found.lacking.append(f"{_shown(topic)} {values[0]}" if kind == CHOICE else _shown(topic))


def _compare_download(download: Download, view: LockView, found: Comparison) -> None:
    package, kind, subject = download.topic
    if kind == COMMIT:
        if download.topic not in view.facts:
            found.lacking.append(_shown(download.topic))
        return
    locked, declared = view.file(package, subject), download.declared
    algorithm = declared.partition(":")[0]
    if locked is None or (declared and locked.digest.partition(":")[0] != algorithm):
        found.lacking.append(_shown(download.topic))
    elif declared and locked.digest != declared:
        found.contradicting.append(
            _contradiction(download.topic, "digest", locked.digest, declared, "its recipe declares")
        )


def _compare_resolution(resolution: OpenRequirements, view: LockView, found: Comparison) -> None:
    locked = view.facts.get(resolution.topic)
    if locked is None:
        found.lacking.append(_shown(resolution.topic))
        return
    own = digest_of(resolution.wanted, view.releases(resolution.package))
    if locked != (own,):
        found.contradicting.append(
            f"{LOCK_NAME}: {_shown(resolution.topic)}: its digest is {locked[0]}, but its "
            f"requirements, with the releases that the lock has for them, have {own}: run "
            "`envy lock`, which resolves them again"
        )


def _unused(facts: Facts, view: LockView) -> Iterator[str]:
    """Yield the entries of the lock that nothing in the graph is about."""
    known = {*facts.values, *(download.topic for download in facts.downloads)}
    recipes = {topic[0] for topic in known if topic[1] == RECIPE}
    for topic in sorted(view.facts):
        package, kind, _subject = topic
        if topic in known or package in facts.undecided or kind in _NOT_OF_PLATFORM:
            continue
        if not (package in recipes and package in view.unlocked):
            yield _shown(topic)


def _shown(topic: Topic) -> str:
    return " ".join(topic)


def _contradiction(topic: Topic, what: str, locked: str, own: str, verb: str) -> str:
    command = "`envy lock`" if topic[0] == MANIFEST else update_command(topic[0])
    return (
        f"{LOCK_NAME}: {_shown(topic)}: its {what} is {locked}, but {verb} {own}: if that is "
        f"right, run {command}"
    )


def check_lock(engine: Engine, manifest: Manifest, use: LockUse) -> None:
    """Compare a resolved graph with the lock; warn once of what the lock lacks.

    Raises:
        LockError: the lock contradicts the project, or has to be complete and is not.
    """
    comparison = compare(engine, manifest, use.view)
    if use.view.covers:
        check_agrees(comparison)
    if use.mode is LockMode.REQUIRED:
        check_complete(comparison, use.view)
    elif warning := warning_of(comparison, use.view):
        engine.services.events.log("warn", warning)
        # Every run has to repeat the warning, so every run resolves in full.
        manifest.reads.lasting = False


def check_agrees(comparison: Comparison) -> None:
    """Raise if the lock says something else than the project.

    Raises:
        LockError: names the first such entry, its field, and the command.
    """
    if comparison.contradicting:
        first, *others = comparison.contradicting
        raise LockError(first + _more(len(others)))


def check_complete(comparison: Comparison, view: LockView) -> None:
    """Raise unless the lock has everything that the project has, and nothing else.

    Raises:
        LockError: names the first entry, and the command.
    """
    if not view.covers:
        raise LockError(f"{missing_platform(view)}: run `envy lock --platform {view.platform}`")
    if comparison.lacking:
        first, *others = comparison.lacking
        raise LockError(f"{LOCK_NAME} lacks {first}{_more(len(others))}: run `envy lock`")
    if comparison.unused:
        first, *others = comparison.unused
        raise LockError(
            f"{LOCK_NAME} has {first}, which the project has not{_more(len(others))}: "
            "run `envy lock`"
        )


def missing_platform(view: LockView) -> str:
    """Return that a lock does not have the platform of a run."""
    return f"{LOCK_NAME} has no platform {view.platform}"


def warning_of(comparison: Comparison, view: LockView) -> str:
    """Return the warning about a lock that is not complete; "" if it is."""
    if not view.covers:
        return f"{missing_platform(view)}, so everything was looked up without it"
    if not comparison.lacking:
        return ""
    first, *others = comparison.lacking
    return (
        f"{LOCK_NAME} lacks {first}{_more(len(others))}; what it lacks was looked up now: run "
        "`envy lock`"
    )


def _more(count: int) -> str:
    return f" (and {count} more)" if count else ""
