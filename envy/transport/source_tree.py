"""Folders that are fetched as trees, from a repository or from this machine."""

import os
from pathlib import Path

from envy.errors import FetchError


def inner_folder(root: Path, subdir: str, uri: str) -> Path:
    """Return the real path of the folder `subdir` of a tree: a link moved elsewhere means another.

    Raises:
        FetchError: the folder does not exist, or is outside of the tree, through a link say.
    """
    inner = Path(os.path.realpath(root / subdir))
    if not inner.is_dir() or not inner.is_relative_to(os.path.realpath(root)):
        there = sorted(entry.name for entry in root.iterdir() if entry.is_dir())
        raise FetchError(
            f"{uri} has no folder {subdir}",
            uri=uri,
            hint=f"its folders are {', '.join(there)}" if there else "it has no folders",
        )
    return inner


def tree_size(root: Path) -> int:
    """Return the bytes of all files below a folder."""
    return sum(
        os.lstat(os.path.join(folder, name)).st_size  # noqa: PTH118
        for folder, _, names in os.walk(root)
        for name in names
    )
