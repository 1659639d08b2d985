"""The manifests of `envy x`: each lists one tool, and lies in the cache.

A package that only `envy x` uses is not held by a project: gc removes it once it is unused for as
long as any other package. The manifests are a few bytes, and are written again when they are
missing.
"""

from __future__ import annotations

import contextlib
import os

from envy.cache.filesystem import explained
from envy.cache.layout import CacheLayout
from envy.cache.names import RUN_ONCE_FOLDER
from envy.content.atomic import atomic_write
from envy.declarations.manifest_search import MANIFEST_NAME

_KEPT = 30 * 86400.0  # seconds


def run_once_manifest(root: str, word: str) -> str:
    """Return the path of the manifest for a word of `envy x`.

    Only the `/` in the name of an npm package could make it more than the name of a folder.
    """
    return f"{root}/{RUN_ONCE_FOLDER}/{word.replace('/', '+')}/{MANIFEST_NAME}"


def is_run_once(root: str, manifest: str) -> bool:
    """Return whether a manifest is one of `envy x`."""
    return manifest.startswith(f"{root}/{RUN_ONCE_FOLDER}/")


def write_run_once(path: str, text: str) -> None:
    """Write a manifest, unless it has this text.

    Raises:
        CacheError: it cannot be written.
    """
    data = text.encode()
    with contextlib.suppress(OSError), open(path, "rb") as file:
        if file.read(len(data) + 1) == data:
            return
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        atomic_write(path, data)
    except OSError as error:
        raise explained(error, doing="write a manifest", path=path) from error


def tidy_run_once(layout: CacheLayout, *, now: float) -> None:
    """Remove manifests that were written a month ago; the next run writes them again."""
    top = f"{layout.root}/{RUN_ONCE_FOLDER}"
    with contextlib.suppress(OSError):
        for name in os.listdir(top):
            path = run_once_manifest(str(layout.root), name)
            with contextlib.suppress(OSError):
                if now - os.stat(path).st_mtime > _KEPT:
                    os.unlink(path)
                    os.rmdir(os.path.dirname(path))
