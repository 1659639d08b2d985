"""The manifest that a command uses, and the global one, which is used where there is no other."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from envy.cli.settings import Settings, current_directory
from envy.declarations.manifest_search import find_manifest, global_manifest
from envy.errors import ManifestError, UsageError

_NEW = """\
-- Your own packages. envy uses them where it finds no other manifest.
-- `envy add --global NAME` and `envy remove --global NAME` change the list.

packages = {
}
"""


def manifest_path(settings: Settings) -> Path:
    """Return the manifest that was named, or the nearest one, or else the global one.

    Raises:
        ManifestError: there is none.
    """
    return find_manifest(
        settings.manifest or current_directory(),
        named=settings.manifest,
        fallback=global_manifest(settings.environment),
    )


def globally(settings: Settings, *, creates: bool = False) -> tuple[Settings, Path]:
    """Return the settings for a command that changes the global manifest, and its path.

    Raises:
        UsageError: another manifest is named; ManifestError: the user has no settings folder, or
            no manifest in it, unless the command creates it.
    """
    if settings.manifest is not None:
        raise UsageError(
            f"--global does not go with another manifest, {settings.manifest}",
            hint="leave out --global or --manifest, or unset ENVY_MANIFEST",
        )
    path = global_manifest(settings.environment)
    if not path:
        raise ManifestError(
            "HOME is not set to an absolute path, so this user has no settings folder",
            hint="set HOME or XDG_CONFIG_HOME",
        )
    if os.path.lexists(path) and not os.path.isfile(path):  # noqa: PTH113
        raise ManifestError(f"{path}, your own manifest, is not a file", hint="move it away")
    if not creates and not os.path.isfile(path):  # noqa: PTH113
        raise ManifestError(
            f"you have no manifest of your own, {path}", hint="envy add --global NAME creates it"
        )
    return replace(settings, manifest=Path(path)), Path(path)


def create_manifest(path: Path) -> bool:
    """Create the global manifest unless it exists; return whether it was created.

    Raises:
        ManifestError: it cannot be created.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(_NEW)
    except FileExistsError:
        if os.path.lexists(path):
            return False
        raise ManifestError(f"{path.parent} is not a folder", hint="move it away") from None
    except OSError as error:
        raise ManifestError(f"{path} cannot be created: {error.strerror}") from error
    return True


def remove_unchanged(path: Path) -> None:
    """Remove a global manifest that nothing was added to."""
    try:
        if path.read_text(encoding="utf-8") == _NEW:
            path.unlink()
    except (OSError, ValueError):
        return
