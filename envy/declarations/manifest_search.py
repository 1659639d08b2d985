"""Finding the manifest: the nearest envy.lua from a folder up, or the one that was named.

Apart from what a manifest says, so that a warm command finds it without loading Lua.
"""

import os.path
from collections.abc import Sequence
from pathlib import Path

from envy.errors import ManifestError

MANIFEST_NAME = "envy.lua"


def find_manifest(start: Path, *, named: Path | None = None) -> Path:
    """The manifest that was named, or the nearest one from `start` up to the repository's root.

    Raises:
        ManifestError: there is none.
    """
    if named is not None:
        return _named_manifest(start / named)
    looked_in: list[Path] = []
    start = start.absolute()
    for directory in (start, *start.parents):
        if (directory / MANIFEST_NAME).is_file():
            return directory / MANIFEST_NAME
        looked_in.append(directory)
        # A worktree and a submodule have a file there.
        if os.path.lexists(directory / ".git"):
            break
    raise _not_found(looked_in)


def _named_manifest(path: Path) -> Path:
    if path.is_file():
        return path.absolute()
    if path.is_dir():
        raise ManifestError(
            f"{path} is a directory, not a manifest", hint=f"name the file: {path / MANIFEST_NAME}"
        )
    if path.exists():
        raise ManifestError(f"{path} is not a plain file", hint="name the manifest itself")
    raise ManifestError(
        f"there is no manifest {path}", hint="--manifest and ENVY_MANIFEST name an existing file"
    )


def _not_found(looked_in: Sequence[Path]) -> ManifestError:
    last = looked_in[-1]
    places = ", ".join(str(directory) for directory in looked_in)
    stopped = ""
    if os.path.lexists(last / ".git"):
        stopped = f" ({last} is the root of a repository, so the search ended there)"
    above = next((p / MANIFEST_NAME for p in last.parents if (p / MANIFEST_NAME).is_file()), None)
    hint = f"create {looked_in[0] / MANIFEST_NAME}, or name one with --manifest PATH"
    if above is not None:
        hint = f"one stands above that root; to use it, say --manifest {above}"
    return ManifestError(f"no {MANIFEST_NAME} in {places}{stopped}", hint=hint)
