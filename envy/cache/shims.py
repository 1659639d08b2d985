"""Folders of links that run products by name, for products whose files have other names.

A folder is named after its content, so it is created once and is always complete.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from blake3 import blake3

from envy.cache.names import DIGITS, SHIMS_FOLDER
from envy.content.atomic import temporary_beside
from envy.errors import CacheError


def shim_folder(root: Path, programs: Mapping[str, str]) -> Path:
    """Return a folder below the cache root in which each name is a link to its program.

    Raises:
        CacheError: the folder cannot be created.
    """
    text = "\0".join(f"{name}\0{path}" for name, path in sorted(programs.items()))
    digest = blake3(text.encode("utf-8", "surrogateescape")).hexdigest()[:DIGITS]
    folder = root / SHIMS_FOLDER / digest
    if folder.is_dir():
        return folder
    try:
        with temporary_beside(folder, sole_writer=False) as making:
            making.mkdir(parents=True)
            for name, path in programs.items():
                (making / name).symlink_to(path)
            try:
                making.rename(folder)
            except OSError:
                # Another process created the same folder at the same time.
                if not folder.is_dir():
                    raise
    except OSError as error:
        raise CacheError(f"cannot create {folder}: {error.strerror}", path=folder) from error
    return folder
