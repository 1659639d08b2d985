"""Finding the manifest: the nearest envy.lua from a folder up, or the one that the user named.

Where neither is, it is the user's own: the global manifest.

A separate module that imports nothing at first, because warm commands use it.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from envy.errors import ManifestError

MANIFEST_NAME = "envy.lua"


def nearest_manifest(start: str) -> tuple[str, Sequence[str]]:
    """Return the nearest manifest ("" without one), and the folders that were searched in vain.

    The search goes from the absolute path `start` up to the root of its repository.
    """
    searched: list[str] = []
    for directory in _upwards(start):
        manifest = os.path.join(directory, MANIFEST_NAME)
        if os.path.isfile(manifest):
            return manifest, searched
        searched.append(directory)
        if _is_repository(directory):
            break
    return "", searched


def _upwards(directory: str) -> Sequence[str]:
    """Return a folder and all those above it, nearest first."""
    found = [directory]
    while (parent := os.path.dirname(found[-1])) != found[-1]:
        found.append(parent)
    return found


def _is_repository(directory: str) -> bool:
    # A worktree and a submodule have a file of that name.
    return os.path.lexists(os.path.join(directory, ".git"))


def global_manifest(environment: Mapping[str, str]) -> str:
    """Return the path of the user's own manifest, in the settings folder that platformdirs finds.

    The file need not exist. "" means that the user has no such folder.
    """
    folder, home = environment.get("XDG_CONFIG_HOME", ""), environment.get("HOME", "")
    if not folder.startswith("/"):
        if not home.startswith("/"):
            return ""
        of_macos = os.path.join(home, "Library", "Application Support")
        folder = of_macos if sys.platform == "darwin" else os.path.join(home, ".config")
    return os.path.join(folder, "envy", MANIFEST_NAME)


def find_manifest(start: Path, *, named: Path | None = None, fallback: str = "") -> Path:
    """Return the manifest that was named, or the nearest one from `start` up, or else `fallback`.

    Raises:
        ManifestError: there is none.
    """
    if named is not None:
        return _named_manifest(start / named)
    from pathlib import Path

    found, searched = nearest_manifest(str(start.absolute()))
    if not found and fallback and os.path.isfile(fallback):
        found = fallback
    if not found:
        raise _not_found(searched)
    return Path(found)


def _named_manifest(path: Path) -> Path:
    from envy.errors import ManifestError

    if path.is_file():
        return path.absolute()
    if path.is_dir():
        raise ManifestError(
            f"{path} is a directory, not a manifest", hint=f"name the file: {path / MANIFEST_NAME}"
        )
    if path.exists():
        raise ManifestError(f"{path} is not a plain file", hint="name the manifest file itself")
    raise ManifestError(
        f"there is no manifest {path}",
        hint="--manifest and ENVY_MANIFEST must name an existing file",
    )


def _not_found(searched: Sequence[str]) -> ManifestError:
    from envy.errors import ManifestError

    last = searched[-1]
    manifest = os.path.join(searched[0], MANIFEST_NAME)
    hint = f"`envy init` creates {manifest}; --manifest PATH names another one"
    stopped = ""
    if _is_repository(last):
        stopped = f" ({last} is the root of a repository, so the search ended there)"
        above = (os.path.join(parent, MANIFEST_NAME) for parent in _upwards(last)[1:])
        beyond = next(filter(os.path.isfile, above), "")
        if beyond:
            hint = f"there is one above that root; to use it, add --manifest {beyond}"
    return ManifestError(f"no {MANIFEST_NAME} in {', '.join(searched)}{stopped}", hint=hint)
