"""What is newer than the packages that a manifest lists, and how its entries would name it.

Pure but for the questions to `Session.releases`; writes nothing. An entry names a version in three
ways: by the option `version`, by the `ref` of a repository, and by the digest of a recipe file.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from envy.declarations.key import RecipeKey
from envy.declarations.overrides import matching
from envy.declarations.sources import BY_ADDRESS, Scheme, SourceItem, is_full_hash, scheme_of
from envy.declarations.tool_name import released_as
from envy.declarations.versions import (
    Clause,
    is_constraint,
    nearest_versions,
    newest,
    order_of,
    satisfies,
)
from envy.errors import EnvyError

if TYPE_CHECKING:
    from envy.declarations.option_text import OptionValue
    from envy.engine.session import Session
    from envy.errors import SourceLocation
    from envy.graph.recipe import Recipe

Fields = Mapping[tuple[str, ...], "OptionValue | None"]
VERSION = ("options", "version")
_DIGEST_OPTION = ("options", "sha256")
# Between the name and the version of a release.
_SEPARATORS = {Scheme.PYPI: "==", Scheme.NPM: "@"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What an upgrade may take: one version, or any that is at least so many seconds old.

    `names_it`: the user named the package, so that a version that its entry leaves to the recipe
    may be written into it.
    """

    to: str = ""
    least_age: float = 0.0
    now: dt.datetime
    names_it: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Upgrade:
    """What one entry names now, and what is newer.

    `table` is packages, or bundles, whose `package` is the bundle. `what` is version, ref or
    sha256. `fields` are what the entry would get; empty if it stays. `newest` is "" if nothing is
    newer. `note` says why the entry stays, if something is.
    """

    index: int
    package: str
    origin: SourceLocation
    what: str
    current: str
    table: str = "packages"
    newest: str = ""
    fields: Fields = field(default_factory=dict)
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """An entry of `packages`: its index and value, where it is, and its package."""

    index: int
    entry: Mapping[str, object]
    origin: SourceLocation
    recipe: Recipe


def listed_entries(
    session: Session, rows: Sequence[tuple[int, object, SourceLocation]]
) -> list[Listed]:
    """Return the entries for this platform, in order.

    Those whose recipe could not be read are among them: its digest may be what is out of date.
    """
    recipes: dict[RecipeKey, Recipe] = {}
    for recipe in session.recipes():
        for parent, spec in recipe.declarations:
            if parent is None and not recipe.excluded:
                recipes[spec.replaced.key if spec.replaced else spec.key] = recipe
    found = []
    for index, value, origin in rows:
        entry = {"recipe": value} if isinstance(value, str) else value
        key = _key_of(entry)
        if key in recipes and isinstance(entry, dict):
            row = Listed(index=index, entry=entry, origin=origin, recipe=recipes[key])
            found.append(row)
    return found


def _key_of(entry: object) -> RecipeKey | None:
    if not isinstance(entry, dict):
        return None
    options = entry.get("options")
    try:
        return RecipeKey.of(str(entry.get("recipe")), options if isinstance(options, dict) else {})
    except EnvyError:
        return None


def find_upgrades(session: Session, listed: Listed, wish: Wish) -> Iterator[Upgrade]:
    """Yield what an entry names; a source that cannot be asked is a note.

    Raises:
        EnvyError: the version of the wish does not exist.
    """
    row = Upgrade(
        index=listed.index,
        package=listed.recipe.key.canonical,
        origin=listed.origin,
        what="version",
        current="",
    )
    version = listed.recipe.options.get("version")
    is_loaded = listed.recipe.loaded_or_none is not None
    if is_loaded and isinstance(version, str):
        yield _of_version(session, listed, wish, replace(row, current=version))
        return
    yield from _of_pins(session, listed, wish, row)


def find_bundle_upgrades(
    session: Session, bundles: Sequence[tuple[int, object, SourceLocation]], wish: Wish
) -> Iterator[Upgrade]:
    """Yield what entries of `bundles` name; each has its index, its value and where it is.

    Raises:
        EnvyError: the version of the wish does not exist.
    """
    for (index, entry, origin), bundle in zip(bundles, session.manifest.bundles, strict=False):
        if isinstance(entry, dict):
            recipe = session.releases.asker(bundle)
            listed = Listed(index=index, entry=entry, origin=origin, recipe=recipe)
            row = Upgrade(
                index=index,
                package=bundle.shown,
                origin=origin,
                what="ref",
                current="",
                table="bundles",
            )
            yield from _of_pins(session, listed, wish, row)


def _of_pins(session: Session, listed: Listed, wish: Wish, row: Upgrade) -> Iterator[Upgrade]:
    """Yield what the pins of a source name."""
    source = listed.recipe.spec.source
    if not isinstance(source, SourceItem) or "source" not in listed.entry:
        return
    if "ref" in listed.entry and scheme_of(source.source) is Scheme.GIT:
        yield _of_ref(session, listed, source, wish, replace(row, what="ref", current=source.ref))
    elif "sha256" in listed.entry and scheme_of(source.source) in BY_ADDRESS:
        row = replace(row, what="sha256", current=source.sha256)
        yield _of_digest(session, listed, source, wish, row)
    elif separator := _SEPARATORS.get(scheme_of(source.source)):
        name, _, version = source.source.rpartition(separator)
        row = replace(row, what="version", current=version)
        yield _of_release(session, listed, source, wish, row, name=f"{name}{separator}")


# -- the option `version` ------------------------------------------------------------------------


def _of_version(session: Session, listed: Listed, wish: Wish, row: Upgrade) -> Upgrade:
    recipe, current = listed.recipe, row.current
    try:
        times, is_whole = _versions(session, recipe, current)
    except EnvyError as error:
        return replace(row, note=f"what is newer is not known: {error.message}")
    if wish.to:
        if is_whole and wish.to not in times:
            raise _no_such_version(wish.to, row, times)
        found = [wish.to]
    else:
        found = newest(_eligible(times, current, wish))
        young = newest(_eligible(times, current, replace(wish, least_age=0.0)))
        if not found and young:
            note = f"{young[-1]} is younger than asked for, or its age is not known"
            return replace(row, note=note)
    if not found or order_of(found[-1]) == order_of(current):
        return row
    return _with_fields(session, listed, wish, replace(row, newest=found[-1]))


def _versions(session: Session, recipe: Recipe, current: str) -> tuple[dict[str, str], bool]:
    """Return the versions that exist, each with its time; and whether there are no others."""
    declarations = recipe.loaded.definition.declarations or ()
    declared = next((one for one in declarations if one.name == "version"), None)
    if declared is not None and declared.choices:
        return dict.fromkeys(map(str, declared.choices), ""), True
    times = dict.fromkeys(declared.known if declared is not None else (), "")
    is_whole = False
    released = released_as(recipe.key.identity, recipe.options, recipe.loaded.recipe_dir)
    for item in [released] if released else session.releases.sources_of(recipe):
        scheme = scheme_of(item.source)
        separator = _SEPARATORS.get(scheme)
        if separator and item.source.rpartition(separator)[2] == current:
            times |= session.releases.versions_of(item, recipe)
            is_whole = True
        elif scheme is Scheme.GIT and item.ref.endswith(current):
            start = item.ref.removesuffix(current)
            tags = (tag for tag in session.releases.tags_of(item, recipe) if tag.startswith(start))
            times |= {tag[len(start) :]: "" for tag in tags if tag[len(start) :][:1].isdigit()}
            is_whole = True
    return times, is_whole


def _eligible(times: Mapping[str, str], current: str, wish: Wish) -> list[str]:
    """Return the newer versions that a wish takes; one before a release only next to another."""
    newer = (Clause(">", current),)
    return [
        version
        for version, time in times.items()
        if satisfies(version, newer) and _is_old_enough(time, wish)
    ]


def _is_old_enough(time: str, wish: Wish) -> bool:
    if not wish.least_age:
        return True
    try:
        released = dt.datetime.fromisoformat(time)
    except ValueError:
        return False
    if released.tzinfo is None:
        released = released.replace(tzinfo=dt.UTC)
    return (wish.now - released).total_seconds() >= wish.least_age


def _no_such_version(version: str, row: Upgrade, versions: Mapping[str, str]) -> EnvyError:
    near = nearest_versions(version, versions)
    # Without options, of which the version is one.
    name = row.package.partition("{")[0] if row.table == "packages" else row.package
    return EnvyError(
        f"{name} has no version {version}",
        hint=f"the nearest versions are {', '.join(near)}" if near else "",
    )


def _with_fields(session: Session, listed: Listed, wish: Wish, row: Upgrade) -> Upgrade:
    """Return an upgrade with what its entry gets, or with the reason why the entry stays."""
    options = listed.entry.get("options")
    given = options if isinstance(options, dict) else {}
    asked = given.get("version")
    overrides = listed.recipe.spec.overrides
    own = [*matching(overrides, listed.recipe.key.identity), overrides.everywhere]
    if any("version" in override.options for override in own if override is not None):
        return replace(row, note="an override of the manifest decides the version")
    if asked is None:
        if not (wish.names_it or wish.to):
            return replace(row, note="the recipe's default; named, it would be written")
    elif not isinstance(asked, str):
        return replace(row, note="its version is not a string")
    elif is_constraint(asked) and asked != row.current:
        return replace(row, note=f"the constraint {asked} chooses the version")
    fields: dict[tuple[str, ...], OptionValue | None] = {VERSION: row.newest}
    if isinstance(given.get("sha256"), str):
        try:
            fields[_DIGEST_OPTION] = _digest_for(session, listed, row.newest)
        except EnvyError as error:
            return replace(row, note=f"its sha256 is not known: {error.message}")
    return replace(row, fields=fields)


def _digest_for(session: Session, listed: Listed, version: str) -> str:
    """Return the digest for the option `sha256`, of the source that has it as its digest."""
    recipe = listed.recipe
    before = recipe.options["sha256"]
    own = session.releases.sources_of(recipe)
    options = {**recipe.loaded.definition.options, "version": version}
    sources = session.releases.sources_of(recipe, options)
    pairs = zip(own, sources, strict=False)
    found = [new for old, new in pairs if old.sha256 == before and new.source != old.source]
    if len(found) != 1 or len(own) != len(sources):
        raise EnvyError("no source of the recipe changes with the version")
    return session.releases.digest_of(found[0], recipe)


# -- pins of the recipe file ---------------------------------------------------------------------


def _of_ref(
    session: Session, listed: Listed, source: SourceItem, wish: Wish, row: Upgrade
) -> Upgrade:
    ref, recipe = source.ref, listed.recipe
    try:
        tags = session.releases.tags_of(source, recipe)
        if not is_full_hash(ref) and ref not in tags:
            return replace(row, note="" if not wish.to else "a branch has no versions")
        if wish.to:
            found = wish.to
            if found not in tags and not is_full_hash(found):
                raise _no_such_version(found, row, tags)
        else:
            found = _newest_ref(session, listed, source, tags)
    except EnvyError as error:
        if wish.to:
            raise
        return replace(row, note=f"what is newer is not known: {error.message}")
    if found == ref or not found:
        return row
    if wish.least_age:
        return replace(row, newest=found, note="the age of a commit is not known")
    if is_full_hash(ref):
        found = tags.get(found, found)
    return replace(row, newest=found, fields={("ref",): found})


def _newest_ref(
    session: Session, listed: Listed, source: SourceItem, tags: Mapping[str, str]
) -> str:
    """Return the newest tag like the current one, or the newest commit if no tag is current."""
    ref = source.ref.lower()
    current = [tag for tag, commit in tags.items() if ref in {tag.lower(), commit}]
    current = [tag for tag in current if any(sign.isdigit() for sign in tag)]
    if not current:
        return (
            session.releases.newest_commit_of(source, listed.recipe) if is_full_hash(ref) else ref
        )
    now = newest(current)[-1]
    start = now[: next(at for at, sign in enumerate(now) if sign.isdigit())]
    alike = [
        tag
        for tag in tags
        if tag.startswith(start)
        and tag[len(start) :][:1].isdigit()
        and satisfies(tag[len(start) :], (Clause(">", now[len(start) :]),))
    ]
    return newest(alike)[-1] if alike else source.ref


def _of_release(
    session: Session, listed: Listed, source: SourceItem, wish: Wish, row: Upgrade, *, name: str
) -> Upgrade:
    """Return the newest release of what a registry has under the `name` of a source."""
    current, recipe = row.current, listed.recipe
    try:
        times = session.releases.versions_of(source, recipe)
        if wish.to and wish.to not in times:
            raise _no_such_version(wish.to, row, times)
        newer = _eligible(times, current, wish)
        found = wish.to or (newest(newer)[-1] if newer else current)
        fields: dict[tuple[str, ...], OptionValue | None] = {("source",): f"{name}{found}"}
        if source.sha256 and found != current:
            released = replace(source, source=f"{name}{found}")
            fields["sha256",] = session.releases.digest_of(released, recipe)
    except EnvyError as error:
        if wish.to:
            raise
        return replace(row, note=f"what is newer is not known: {error.message}")
    return row if found == current else replace(row, newest=found, fields=fields)


def _of_digest(
    session: Session, listed: Listed, source: SourceItem, wish: Wish, row: Upgrade
) -> Upgrade:
    if wish.to:
        raise EnvyError(
            f"{row.package} has no version: its entry names a recipe file by its digest",
            hint="leave out --to",
        )
    try:
        found = session.releases.digest_of(source, listed.recipe)
    except EnvyError as error:
        return replace(row, note=f"what is newer is not known: {error.message}")
    if found == source.sha256:
        return row
    if wish.least_age:
        return replace(row, newest=found, note="the age of a file is not known")
    return replace(row, newest=found, fields={("sha256",): found})
