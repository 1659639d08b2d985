"""Shims: small scripts that run a program under its own path.

A product whose file has another name gets one. A shim executes the program instead of being a link
to it, so that the program finds its own folder.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from pathlib import Path

from blake3 import blake3

from envy.cache.names import ASSETS_FOLDER, DIGITS, SHIMS_FOLDER
from envy.content.atomic import temporary_beside
from envy.errors import CacheError

_REFUSED = 127  # as a shell says that there is no such program


def shim_text(*words: str) -> str:
    """Return a script that runs a program with these words and its own arguments."""
    return f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n'


def refusing_text(reason: str) -> str:
    """Return a script that says why a program cannot be run."""
    return f"#!/bin/sh\nprintf '%s\\n' {shlex.quote(f'error: {reason}')} >&2\nexit {_REFUSED}\n"


def script_folder(root: Path, scripts: Mapping[str, str]) -> Path:
    """Return a folder below the cache root that has these scripts by name, and nothing else.

    It is named after its content, so it is created once and is always complete.

    Raises:
        CacheError: the folder cannot be created.
    """
    text = "\0".join(f"{name}\0{script}" for name, script in sorted(scripts.items()))
    digest = blake3(text.encode("utf-8", "surrogateescape")).hexdigest()[:DIGITS]
    folder = root / SHIMS_FOLDER / digest
    if folder.is_dir():
        return folder
    try:
        with temporary_beside(folder, sole_writer=False) as making:
            making.mkdir(parents=True)
            for name, script in scripts.items():
                (making / name).write_text(script, encoding="utf-8", errors="surrogateescape")
                (making / name).chmod(0o555)
            try:
                making.rename(folder)
            except OSError:
                # Another process created the same folder at the same time.
                if not folder.is_dir():
                    raise
    except OSError as error:
        raise CacheError(f"cannot create {folder}: {error.strerror}", path=folder) from error
    return folder


def without_shims(path: str, root: Path) -> str:
    """Return the folders of a PATH that are not folders of shims.

    A program of the machine is looked up in them: a shim of the same name would run itself.
    """
    kept = [folder for folder in path.split(os.pathsep) if not _is_shim_folder(folder, root)]
    return os.pathsep.join(kept)


def _is_shim_folder(folder: str, root: Path) -> bool:
    above, _, name = folder.rstrip("/").rpartition("/")
    in_entry = name == SHIMS_FOLDER and above.startswith(f"{root}/{ASSETS_FOLDER}/")
    return in_entry or above == f"{root}/{SHIMS_FOLDER}"
