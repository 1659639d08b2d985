"""`envy.lock` as data: what a manifest resolved to, on each platform.

An entry is one fact about one package. Its subject and its values depend on the kind:

    bundle    an entry of `bundles`; its digest or commit, `-` if it is a folder of the project
    recipe    where the recipe file comes from; its digest or commit, `-` if it is in the project
    download  one source of `fetch`; file name, digest and size (`-` if it is not known)
    commit    a repository of `fetch` with its ref; the commit
    choice    a weak or required reference; the package that it is bound to
    version   an option that was given as a constraint; the version that it takes
    requirements  the Python that they are for; the digest of their lines and of the releases
    release   a project of the package index, and for which machines; version, then the name,
              digest and size of each of its files
    unlocked  the reason why the sources of the package are not locked; no values

Owns the kinds and how facts about several platforms are put together. Opens no file.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from envy.errors import EnvyError

LOCK_NAME = "envy.lock"
FORMAT = 1
MINIMUM_ENVY = "0.1.0"  # the first envy that reads this format
EVERYWHERE = "*"  # in the place of a platform
UNKNOWN = "-"  # in the place of a value
IN_BUNDLE = "bundle:"  # before a bundle, as where a recipe comes from
MANIFEST = "envy.lua"  # in the place of a package: what is true of the manifest itself

RECIPE, DOWNLOAD, COMMIT, CHOICE, UNLOCKED = "recipe", "download", "commit", "choice", "unlocked"
VERSION, REQUIREMENTS, RELEASE, BUNDLE = "version", "requirements", "release", "bundle"
KINDS: Mapping[str, tuple[str, ...]] = {
    BUNDLE: ("digest or commit",),
    CHOICE: ("package",),
    COMMIT: ("commit",),
    DOWNLOAD: ("file", "digest", "size"),
    RECIPE: ("digest or commit",),
    RELEASE: ("version",),  # and for each file what a download has
    REQUIREMENTS: ("digest",),
    UNLOCKED: (),
    VERSION: ("version",),
}

# Package, kind and subject: what an entry is about.
Topic = tuple[str, str, str]


class LockError(EnvyError):
    """What is wrong with `envy.lock`, in one line with the command that corrects it."""


@dataclass(frozen=True, slots=True, order=True)
class LockEntry:
    """One fact about one package, on one platform or `EVERYWHERE`."""

    package: str
    kind: str
    subject: str
    platform: str
    values: tuple[str, ...] = ()

    @property
    def topic(self) -> Topic:
        """What the entry is about."""
        return self.package, self.kind, self.subject


@dataclass(frozen=True, slots=True)
class ProjectLock:
    """A whole lock: its platforms and its entries, both sorted."""

    platforms: tuple[str, ...] = ()
    entries: tuple[LockEntry, ...] = ()


@dataclass(frozen=True, slots=True)
class LockedFile:
    """The file that the lock names for a source; its digest as `ALGORITHM:HEXDIGITS`."""

    package: str
    name: str
    digest: str
    size: str = UNKNOWN


@dataclass(frozen=True, slots=True)
class LockView:
    """What a lock says about one platform: the values of each topic.

    `exists` is false without a lock; `covers` is whether the lock has the platform.
    """

    facts: Mapping[Topic, tuple[str, ...]] = field(default_factory=dict)
    platform: str = ""
    exists: bool = False
    covers: bool = False
    unlocked: frozenset[str] = frozenset()  # packages whose sources are not locked

    def pin(self, package: str, subject: str) -> str:
        """Return the digest or commit of a recipe; "" if there is none."""
        # What is fetched for a recipe may be the bundle that has it.
        bundle = self.facts.get((MANIFEST, BUNDLE, subject), ("",))
        [found] = self.facts.get((package, RECIPE, subject), bundle)
        return "" if found == UNKNOWN else found

    def commit(self, package: str, subject: str) -> str:
        """Return the commit of a repository with a ref: of a source, or of the recipe itself."""
        [found] = self.facts.get((package, COMMIT, subject), ("",))
        return found or self.pin(package, subject).removeprefix("commit:")

    def version(self, package: str, subject: str) -> str:
        """Return the version that a constraint takes; "" if the lock has none."""
        [found] = self.facts.get((package, VERSION, subject), ("",))
        return found

    def releases(self, package: str) -> dict[str, tuple[str, ...]]:
        """Return the values of the releases that the requirements of a package resolved to."""
        return {
            subject: values
            for (owner, kind, subject), values in self.facts.items()
            if owner == package and kind == RELEASE
        }

    def file(self, package: str, subject: str) -> LockedFile | None:
        """Return the file of a source; None if the lock has none."""
        found = self.facts.get((package, DOWNLOAD, subject))
        return LockedFile(package, *found) if found else None


NO_LOCK = LockView()


def update_command(package: str) -> str:
    """Return the command that looks a package up again, as messages show it."""
    quoted = f"'{package}'" if "{" in package else package
    return f"`envy lock --update {quoted}`"


def view_of(lock: ProjectLock | None, platform: str, *, without: Iterable[str] = ()) -> LockView:
    """Return what a lock says about a platform, leaving out some packages."""
    if lock is None:
        return LockView(platform=platform)
    left_out = set(without)
    # The bundle of a package that is looked up again is, too.
    bundles = {
        entry.subject.removeprefix(IN_BUNDLE)
        for entry in lock.entries
        if entry.package in left_out and entry.kind == RECIPE
    }
    facts = {
        entry.topic: entry.values
        for entry in lock.entries
        if entry.platform in {EVERYWHERE, platform}
        and entry.package not in left_out
        and not (entry.kind == BUNDLE and entry.subject in bundles)
    }
    return LockView(
        facts if platform in lock.platforms else {},
        platform,
        exists=True,
        covers=platform in lock.platforms,
        unlocked=frozenset(package for package, kind, _subject in facts if kind == UNLOCKED),
    )


def combined(facts: Mapping[str, Mapping[Topic, tuple[str, ...]]]) -> ProjectLock:
    """Return the lock of facts by platform: one entry where all platforms agree.

    Requirements are resolved for all platforms, so platforms without the package agree, too.
    """
    resolved: dict[str, set[str]] = defaultdict(set)
    for platform, found in facts.items():
        for package, kind, _subject in found:
            if kind == REQUIREMENTS:
                resolved[package].add(platform)
    by_topic: dict[Topic, dict[str, tuple[str, ...]]] = defaultdict(dict)
    for platform, found in facts.items():
        for topic, values in found.items():
            by_topic[topic][platform] = values
    entries: list[LockEntry] = []
    for (package, kind, subject), rows in by_topic.items():
        is_resolved = kind in {RELEASE, REQUIREMENTS} and rows.keys() == resolved[package]
        is_equal = (is_resolved or len(rows) == len(facts)) and len(set(rows.values())) == 1
        shown = {EVERYWHERE: next(iter(rows.values()))} if is_equal else rows
        entries += [LockEntry(package, kind, subject, *row) for row in shown.items()]
    return ProjectLock(tuple(sorted(facts)), tuple(sorted(entries)))
