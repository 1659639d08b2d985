"""Moving a new tree to its place: whole, or into a folder that is there, and never in part.

Guarantees
  Nothing is moved before every conflict is known; a failure moves everything back.
  No link in the folder that is there is followed.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from envy.content.atomic import unique_name
from envy.errors import EnvyError

_MOST_SHOWN = 5


@contextlib.contextmanager
def new_tree_for(dest: Path) -> Iterator[Path]:
    """Yield a path for a new tree or file on the file system of `dest`; what stays is removed.

    Raises:
        EnvyError: it cannot be created there.
    """
    # `Path.is_dir` raises for a name that is too long.
    folder = dest if os.path.isdir(dest) else dest.parent  # noqa: PTH112
    holder = Path(unique_name(str(folder / (dest.name or "envy"))))
    try:  # before it exists: a signal may come as soon as it does
        _make(holder, folder, dest)
        yield holder / "new"
    finally:
        _remove(holder)


def _make(holder: Path, folder: Path, dest: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        holder.mkdir(mode=0o700)
    except FileExistsError as error:
        raise EnvyError(f"{dest} cannot be written: {folder} is not a folder") from error
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise EnvyError(f"{dest} cannot be written: {reason}") from error


def _remove(holder: Path) -> None:
    try:
        shutil.rmtree(holder, ignore_errors=True)
    except KeyboardInterrupt:  # a second one, of an impatient user or a whole process group
        shutil.rmtree(holder, ignore_errors=True)
        raise


def put_in_place(new: Path, dest: Path, *, force: bool) -> None:
    """Move a new tree to `dest`, or its content into the folder there; or a file to `dest`.

    With `force`, files and links of the same names are replaced.

    Raises:
        EnvyError: something is there already; nothing is moved.
        OSError: a move failed; everything is as it was.
    """
    # The place itself may be named through a link.
    moves = list(_moves(new, Path(os.path.realpath(dest)) if dest.is_dir() else dest))
    found = [to for _, to, blocked in moves if blocked or (not force and os.path.lexists(to))]
    if found:
        raise _exists(found, blocked=any(blocked for *_, blocked in moves), dest=dest)
    undo: list[tuple[Path, Path]] = []
    try:
        for number, (source, to, _) in enumerate(moves):
            if os.path.lexists(to):
                if not force:  # it has come meanwhile
                    raise _exists([to], blocked=False, dest=dest)
                aside = new.parent / f"old-{number}"
                to.rename(aside)
                undo.append((aside, to))
            source.rename(to)
            undo.append((to, source))
    except BaseException:
        for here, back in reversed(undo):
            with contextlib.suppress(OSError):
                here.rename(back)
        raise


def _moves(new: Path, dest: Path) -> Iterator[tuple[Path, Path, bool]]:
    """Yield what is moved where, and whether something is there that is never replaced."""
    if not os.path.lexists(dest):
        yield new, dest, False
        return
    is_folder = new.is_dir() and not new.is_symlink()
    is_into = dest.is_dir() and not dest.is_symlink()
    if is_folder and is_into:
        for inner in sorted(new.iterdir()):
            yield from _moves(inner, dest / inner.name)
    else:
        yield new, dest, is_folder or is_into


def _exists(found: Sequence[Path], *, blocked: bool, dest: Path) -> EnvyError:
    if list(found) == [dest]:
        what = f"{dest} exists already"
    else:
        names = ", ".join(os.path.relpath(path, dest) for path in found[:_MOST_SHOWN])
        more = f" and {len(found) - _MOST_SHOWN} more" if len(found) > _MOST_SHOWN else ""
        what = f"{dest} has files of the same names already: {names}{more}"
    hint = "name another place, or replace them: --force"
    if blocked:
        hint = "a folder is not replaced by a file, nor a file or link by a folder: remove it"
    return EnvyError(what, hint=hint)
