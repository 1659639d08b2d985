"""Folders of links that run products by name, for products whose files have other names.

A folder is named after its content, so it is created once and is always complete.
"""

from __future__ import annotations

import errno
from collections.abc import Mapping
from pathlib import Path

from blake3 import blake3

from envy.cache.names import DIGITS, SHIMS_FOLDER
from envy.content.atomic import temporary_beside
from envy.errors import CacheError

_READ_ONLY = frozenset({errno.EROFS, errno.EACCES, errno.EPERM})


def _create(folder: Path, programs: Mapping[str, str]) -> None:
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
        _create(folder, programs)
    except OSError as error:
        if error.errno in _READ_ONLY:
            return _temporary_folder(digest, programs)
        raise CacheError(f"cannot create {folder}: {error.strerror}", path=folder) from error
    return folder


def _temporary_folder(digest: str, programs: Mapping[str, str]) -> Path:
    """Return such a folder outside of a cache that may only be read, kept for the next command.

    Raises:
        CacheError: the folder cannot be created.
    """
    import os
    import stat
    import tempfile

    above = Path(tempfile.gettempdir(), f"envy-shims-{os.getuid()}")
    try:
        above.mkdir(mode=0o700, exist_ok=True)
        status = above.lstat()
        if (
            status.st_uid != os.getuid()
            or not stat.S_ISDIR(status.st_mode)
            or status.st_mode & 0o022
        ):
            # Somebody else could put other programs there.
            above = Path(tempfile.mkdtemp(prefix="envy-shims-"))
        folder = above / digest
        if not folder.is_dir():
            _create(folder, programs)
    except OSError as error:
        raise CacheError(
            f"cannot create {error.filename or above}: {error.strerror}",
            path=above,
            hint="the cache is read-only, so this folder for the names of programs is elsewhere; "
            "name a writable folder with TMPDIR",
        ) from error
    return folder
