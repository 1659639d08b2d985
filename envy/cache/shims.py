"""Shims: small scripts that run a program under its own path.

A product whose file has another name, or that an interpreter runs, gets one in the entry of its
package. A shim executes the program instead of being a link to it, so that the program finds its
own folder. Shims are written before the marker, and are not part of the payload.
"""

from __future__ import annotations

import errno
import os
import shlex
from collections.abc import Mapping
from pathlib import Path

from blake3 import blake3

from envy.cache.filesystem import REAL, FileSystem, explained
from envy.cache.layout import EntryPaths
from envy.cache.names import ASSET, ASSETS_FOLDER, DIGITS, SHIMS_FOLDER
from envy.cache.read import is_same_root, read_marker
from envy.content.atomic import atomic_write, temporary_beside
from envy.declarations.products import Product
from envy.errors import CacheError
from envy.interpreter import released

_MODE = 0o555
_REFUSED = 127  # as a shell says that there is no such program
_TEMPORARY = "envy-shims-"
_READ_ONLY = frozenset({errno.EROFS, errno.EACCES, errno.EPERM})


def shim_text(*words: str) -> str:
    """Return a script that runs a program with these words and its own arguments."""
    return f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n'


def refusing_text(reason: str) -> str:
    """Return a script that says why a program cannot be run."""
    return f"#!/bin/sh\nprintf '%s\\n' {shlex.quote(f'error: {reason}')} >&2\nexit {_REFUSED}\n"


def product_path(entry: EntryPaths, name: str, product: Product) -> str:
    """Return the path of a product of an entry: that of its shim, if it needs one."""
    if product.needs_shim(name):
        return f"{entry.at(SHIMS_FOLDER)}/{name}"
    return f"{entry.at(ASSET)}/{product.path}"


def write_shims(entry: EntryPaths, shims: Mapping[str, str], *, files: FileSystem = REAL) -> None:
    """Write the shims of an entry that is about to be published, on the disk.

    Raises:
        CacheError: a file cannot be written.
    """
    folder = entry.at(SHIMS_FOLDER)
    try:
        files.make_dir(folder)
        paths = [f"{folder}/{name}" for name in shims]
        for path, text in zip(paths, shims.values(), strict=True):
            files.write_file(path, _encoded(text))
            files.set_mode(path, _MODE)
        with released():
            files.flush(paths)
            files.flush_dirs([folder])
    except OSError as error:
        raise explained(error, doing="write shims to the cache", path=folder) from error


def restore_shims(entry: EntryPaths, shims: Mapping[str, str]) -> None:
    """Write the shims that an entry in the cache lacks, or that were written under another root.

    Several processes may do so at once: all write the same text.

    Raises:
        CacheError: a file cannot be written.
    """
    folder = entry.at(SHIMS_FOLDER)
    try:
        if shims and os.path.islink(folder):
            raise FileExistsError(errno.EEXIST, "it is a link", folder)
        for name, text in shims.items():
            path = Path(f"{folder}/{name}")
            data = _encoded(text)
            found = path.read_bytes() if path.is_file() else b""
            if found == data or (found and found == _as_made(entry, text)):
                continue
            path.parent.mkdir(exist_ok=True)
            atomic_write(str(path), data, mode=_MODE)
    except OSError as error:
        raise explained(error, doing="write shims to the cache", path=folder) from error


def _as_made(entry: EntryPaths, text: str) -> bytes:
    """Return a shim as it was written when its entry was made, perhaps by another path."""
    marker = read_marker(entry)
    if marker is None or not is_same_root(marker.root, entry.root):
        return _encoded(text)
    return _encoded(text.replace(f"{entry.root}/", f"{marker.root}/"))


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


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
        _create(folder, scripts)
    except OSError as error:
        if error.errno in _READ_ONLY:
            return _temporary_folder(digest, scripts)
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
    if os.path.basename(above).startswith(_TEMPORARY):
        return True
    # `<root>/assets/<identity>/<entry>/shims`, or `<root>/shims/<digest>`
    parts = above.rsplit("/", 3)
    if name == SHIMS_FOLDER and len(parts) == 4 and parts[1] == ASSETS_FOLDER:
        return is_same_root(parts[0], str(root))
    return os.path.basename(above) == SHIMS_FOLDER and is_same_root(
        os.path.dirname(above), str(root)
    )


def _temporary_folder(digest: str, scripts: Mapping[str, str]) -> Path:
    """Return such a folder outside of a cache that may only be read, kept for the next command.

    Raises:
        CacheError: the folder cannot be created.
    """
    import stat
    import tempfile

    above = Path(tempfile.gettempdir(), f"{_TEMPORARY}{os.getuid()}")
    try:
        above.mkdir(mode=0o700, exist_ok=True)
        status = above.lstat()
        if (
            status.st_uid != os.getuid()
            or not stat.S_ISDIR(status.st_mode)
            or status.st_mode & 0o022
        ):
            # Somebody else could put other programs there.
            above = Path(tempfile.mkdtemp(prefix=_TEMPORARY))
        folder = above / digest
        if not folder.is_dir():
            _create(folder, scripts)
    except OSError as error:
        raise CacheError(
            f"cannot create {error.filename or above}: {error.strerror}",
            path=above,
            hint="the cache is read-only, so this folder for the names of programs is elsewhere; "
            "name a writable folder with TMPDIR",
        ) from error
    return folder


def _create(folder: Path, scripts: Mapping[str, str]) -> None:
    with temporary_beside(folder, sole_writer=False) as making:
        making.mkdir(parents=True)
        for name, script in scripts.items():
            (making / name).write_bytes(_encoded(script))
            (making / name).chmod(_MODE)
        try:
            making.rename(folder)
        except OSError:
            # Another process created the same folder at the same time.
            if not folder.is_dir():
                raise
