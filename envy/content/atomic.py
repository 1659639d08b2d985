"""Files and folders that appear under their name complete, or not at all.

They are written under a temporary name beside the final one, and renamed. Owns the temporary names:
each ends in `SUFFIX`, so that a cleanup recognizes what a killed process left behind.

Guarantees
  A reader finds the former content or all of the new one, never a part.
  A failure leaves no temporary file; only a killed process does.
  Nothing is flushed to the disk: a power failure may undo a write. What must survive one (the
  marker of a cache entry) is flushed by its writer.
"""

from __future__ import annotations

import contextlib
import errno
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SUFFIX = ".new"
_FOLDER_IN_THE_WAY = frozenset({
    errno.EISDIR, errno.ENOTDIR, errno.EEXIST, errno.ENOTEMPTY
})  # fmt: skip
_LONGEST = 100  # bytes kept of a name, so that the temporary name is not too long


def temporary_name(path: str) -> str:
    """Return the temporary name for a path that has one writer at a time, because of a lock say."""
    return path + SUFFIX


def unique_name(path: str) -> str:
    """Return a temporary name for a path that several processes may write at once."""
    folder, name = os.path.split(path)
    if len(os.fsencode(name)) > _LONGEST:
        name = name[:_LONGEST]
        while len(os.fsencode(name)) > _LONGEST:
            name = name[:-1]
    unique = f"{name}.{os.getpid()}-{os.urandom(4).hex()}{SUFFIX}"
    return os.path.join(folder, unique)


def atomic_write(
    path: str, data: bytes, *, mode: int | None = None, sole_writer: bool = False
) -> None:
    """Write a whole file, in place of one that exists.

    The file gets the permissions `mode`; without, those of any new file.

    Raises:
        OSError: a step failed; the former file is unchanged.
    """

    def create(name: str, flags: int) -> int:
        return os.open(name, flags, 0o666 if mode is None else 0o600)

    with written_file(path, sole_writer=sole_writer) as new:
        with open(new, "wb" if sole_writer else "xb", opener=create) as file:
            file.write(data)
        if mode is not None:
            os.chmod(new, mode)


@contextlib.contextmanager
def written_file(path: str, *, sole_writer: bool = False) -> Iterator[str]:
    """Yield a name to write a file to, which is renamed to `path` on success, else removed."""
    new = temporary_name(path) if sole_writer else unique_name(path)
    try:
        yield new
        os.replace(new, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(new)
        raise


@contextlib.contextmanager
def written_whole(target: Path) -> Iterator[Path]:
    """Yield a path for creating a file or a folder, which becomes `target` on success.

    An existing `target` is replaced, even a folder. The path is nobody else's: what has the name of
    `target` with a suffix may be another source, or a file of the user.
    """
    with contextlib.suppress(FileNotFoundError):
        os.lstat(target)  # a name that is too long is an error before the content is made
    new = type(target)(unique_name(str(target)))
    try:
        yield new
        try:
            os.replace(new, target)
        except OSError as error:
            # A folder cannot be renamed over something else, nor a file over a folder.
            if error.errno not in _FOLDER_IN_THE_WAY:
                raise
            _remove(target)
            os.replace(new, target)
    except BaseException:
        with contextlib.suppress(OSError):
            _remove(new)
        raise


@contextlib.contextmanager
def temporary_beside(target: Path, *, sole_writer: bool = True) -> Iterator[Path]:
    """Yield a free path beside `target`; whatever is at that path in the end is removed."""
    name = temporary_name(str(target)) if sole_writer else unique_name(str(target))
    new = type(target)(name)
    _remove(new)
    try:
        yield new
    finally:
        with contextlib.suppress(OSError):
            _remove(new)


def _remove(path: Path) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
    except OSError:
        if path.is_symlink() or not path.is_dir():
            raise
        import shutil

        shutil.rmtree(path)
