"""`envy upgrade`: write newer versions into the manifest, and install them."""

from __future__ import annotations

from collections.abc import Sequence

import click

from envy.cli.cache_gc import parse_span
from envy.cli.edited_install import follow_edit
from envy.cli.edits import manifest_to_edit, tell
from envy.cli.manifest_path import globally
from envy.cli.options import envy_command
from envy.cli.outdated import short
from envy.cli.settings import Settings
from envy.cli.upgrades import found_upgrades
from envy.declarations.manifest_edit import FieldChange, ManifestFile, edited, identity_of
from envy.declarations.manifest_write import write_manifest
from envy.errors import ManifestError, UsageError
from envy.explain.upgrades import Upgrade


@envy_command(
    short_help="Write newer versions into envy.lua, and install them.",
    examples=[
        ("envy upgrade", "every package that has a newer version"),
        ("envy upgrade ninja --to 1.11.1", "one package, to a version"),
        ("envy upgrade --min-age 7d", "only versions that are a week old"),
    ],
)
@click.argument("queries", nargs=-1, metavar="[QUERY]...")
@click.option("--to", metavar="VERSION", help="Take this version, older or newer.")
@click.option(
    "--min-age",
    callback=parse_span,
    metavar="SPAN",
    help="Only versions that were released at least this long ago (7d, 12h, 2w).",
)
@click.option("--no-install", is_flag=True, help="Only change the manifest.")
@click.option("--global", "is_global", is_flag=True, help="Change your own manifest.")
def command(
    settings: Settings,
    queries: tuple[str, ...],
    *,
    to: str | None,
    min_age: float | None,
    no_install: bool,
    is_global: bool,
) -> int:
    """Write the newest version of each package, or of those of QUERY, into the manifest.

    The version, the digest and the ref of an entry are changed together, and those of bundles: with
    QUERY, of the bundle that has the recipe. An entry whose version is
    computed, is a constraint or is left to the recipe stays, and is named; with QUERY, a version
    that is left to the recipe is written. Entries for other platforms stay. Everything else in the
    manifest keeps its text. If a package cannot be installed, the manifest is restored.
    """
    if to is not None and len(queries) != 1:
        raise UsageError("--to needs one QUERY: the package that gets the version")
    if to == "":
        raise UsageError("--to names no version", hint="without --to, it is the newest")
    if is_global:
        settings, _ = globally(settings)
    manifest = manifest_to_edit(settings)
    age = min_age or 0.0
    found, code = found_upgrades(settings, queries, to=to or "", least_age=age, manifest=manifest)
    new, changed = manifest, list[int]()
    verb = "is newer" if to is None else "was asked for"
    for one in found:
        if one.fields:
            new = _with_upgrade(new, one, settings, changed, verb)
        elif one.newest or one.note:
            tell(settings, f"{_what(one, verb)} stays: {one.note}")
    if new.content == manifest.content:
        if not code:
            tell(settings, "nothing was changed" if _news(found) else "every version is the newest")
        return code
    write_manifest(new.path, new.content, before=manifest.content)
    return follow_edit(new, manifest, settings, installs=() if no_install else sorted({*changed}))


def _news(found: Sequence[Upgrade]) -> bool:
    return any(one.newest or one.note for one in found)


def _what(one: Upgrade, verb: str) -> str:
    newer = f", {short(one, one.newest)} {verb}," if one.newest else ""
    return f"{one.package} with {one.what} {short(one, one.current)}{newer} in {one.origin}"


def _bundled(manifest: ManifestFile) -> list[int]:
    """Return the indexes of the entries that may come from a bundle: those without a source."""
    return [
        index
        for index, entry in enumerate(manifest.entries)
        if not (isinstance(entry, dict) and "source" in entry)
        and not identity_of(entry).startswith(("envy.", "local."))
    ]


def _with_upgrade(
    manifest: ManifestFile, one: Upgrade, settings: Settings, changed: list[int], verb: str
) -> ManifestFile:
    """Return the manifest with an upgrade, and note its entry; an entry that is computed stays."""
    try:
        new = edited(manifest, FieldChange(one.index, one.fields, one.table), settings.environment)
    except ManifestError as error:
        for line in f"{_what(one, verb)} stays: {error}".splitlines():
            tell(settings, line)
        return manifest
    changed += [one.index] if one.table == "packages" else _bundled(new)
    before, after = short(one, one.current), short(one, one.newest)
    tell(settings, f"changed {one.package} from {before} to {after} in {one.origin}")
    return new
