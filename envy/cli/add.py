"""`envy add`: add packages to the manifest, and install them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import click

from envy.cli.added import RequestedEntry, edit_for, has_credentials, requested_entry
from envy.cli.edited_install import follow_edit
from envy.cli.edits import manifest_to_edit, shown_key, tell
from envy.cli.manifest_path import create_manifest, globally, remove_unchanged
from envy.cli.options import envy_command
from envy.cli.settings import Settings
from envy.declarations.locations import shown_path
from envy.declarations.manifest_edit import ManifestFile, edited
from envy.declarations.manifest_write import write_manifest
from envy.errors import UsageError

_SAFER = 'os.getenv("NAME") in its place keeps them out of a repository'


@envy_command(
    short_help="Add packages to envy.lua, and install them.",
    examples=[
        ("envy add ninja cmake", "two tools that envy has recipes for"),
        ("envy add ninja@1.11.1", "a version; changes it if ninja is there already"),
        ("envy add https://example.com/acme.tool@r1.lua", "a recipe, pinned by its digest"),
        ("envy add pypi:httpie", "a program of the Python package index"),
    ],
)
@click.argument("names", nargs=-1, required=True, metavar="NAME[@VERSION]...")
@click.option("--no-install", is_flag=True, help="Only change the manifest.")
@click.option("--global", "is_global", is_flag=True, help="Change your own manifest.")
def command(
    settings: Settings, names: tuple[str, ...], *, no_install: bool, is_global: bool
) -> int:
    """Add each NAME to `packages` in the manifest, and install it.

    A NAME is a recipe that ships with envy (see `envy list --shipped`), a recipe in one of the
    manifest's bundles (`envy list --bundles`), the URL or path of a recipe file, or the identity of
    a recipe in the project's folder recipes/. It is never looked up in a registry. pypi:NAME and
    npm:NAME add a program of the package index or of npm, in its newest version if none is given.
    The digest of a recipe from a URL becomes a part of its entry.

    An entry that is there already stays as it is, or gets the VERSION. Everything else in the
    manifest keeps its text: envy compares what the manifest means before and after, and writes
    nothing if more than these entries would change. If a package cannot be installed, the manifest
    is restored. --global adds to the manifest in your settings folder, which is used wherever there
    is no other, and creates it.
    """
    if not is_global:
        return _add(settings, names, installs=not no_install)
    settings, path = globally(settings, creates=True)
    is_new = create_manifest(path)
    try:
        return _add(settings, names, installs=not no_install)
    finally:
        if is_new:
            remove_unchanged(path)


def _add(settings: Settings, names: Sequence[str], *, installs: bool) -> int:
    manifest = manifest_to_edit(settings)
    wanted = _requested(names, settings, manifest)
    new, indexes, lines = manifest, [], []
    for request in wanted:
        new, index, line = _with_entry(new, request, settings.environment)
        indexes.append(index)
        lines.append(line)
    if new.content != manifest.content:
        write_manifest(new.path, new.content, before=manifest.content)
    for line in lines:
        tell(settings, line)
    if new.content != manifest.content and any(has_credentials(request) for request in wanted):
        tell(settings, f"note: {shown_path(new.path)} now has the credentials of the URL; {_SAFER}")
    return follow_edit(new, manifest, settings, installs=indexes if installs else ())


def _requested(
    names: Sequence[str], settings: Settings, manifest: ManifestFile
) -> list[RequestedEntry]:
    folder = manifest.path.parent
    wanted: dict[str, RequestedEntry] = {}
    for name in names:
        request = requested_entry(name, folder, settings)
        first = wanted.setdefault(request.name, request)
        if first is not request:
            raise UsageError(
                f"{first.word} and {name} are the same recipe, {request.name}"
                if first.word != name
                else f"{name} is named twice",
                hint="name each package once",
            )
    return list(wanted.values())


def _with_entry(
    manifest: ManifestFile, request: RequestedEntry, environment: Mapping[str, str]
) -> tuple[ManifestFile, int, str]:
    """Return the manifest with what was requested, the index of its entry, and what was done."""
    edit, index = edit_for(request, manifest)
    if edit is None and index is not None:
        return manifest, index, f"{_shown(manifest, index)} is in {manifest.at(index)} already"
    assert edit is not None
    new = edited(manifest, edit, environment)
    if index is None:
        places = [i for i, entry in enumerate(new.entries) if entry == request.entry]
        index = places[-1] if places else len(new.entries) - 1
        return new, index, f"added {_shown(new, index)} to {shown_path(manifest.path)}"
    before, after = _shown(manifest, index), _shown(new, index)
    what = f"{before} to {after}" if before != after else f"the digest of {after}"
    return new, index, f"changed {what} in {new.at(index)}"


def _shown(manifest: ManifestFile, index: int) -> str:
    return shown_key(manifest.entries[index])
