"""Depots in a folder, which several machines may share by a network file system.

Guarantees
  An object appears under its name as a whole, and is never replaced. What a killed writer leaves
  beside it is listed as unfinished.
  Nothing but plain files is read, and no link below the folder is followed when it is listed.
"""

import contextlib
import errno
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

from envy.errors import FetchError
from envy.sharing.object_names import is_object_name
from envy.sharing.shelf import ReadOnly, StoredObject, Unreadable
from envy.transport.context import FetchContext, NoAnswer, NotFound

_REFUSED = {errno.EACCES, errno.EPERM, errno.EROFS}
_CHUNK = 1 << 20
_UNFINISHED = re.compile(r"(.*/)\.([^/]+)\.[0-9a-f]{12}")


class FolderShelf:
    """A folder with objects."""

    def __init__(self, url: str, *, makes: bool = False) -> None:
        """`makes`: a missing folder is an empty one, which the first object makes."""
        self.shown = url
        self._makes = makes
        self._root = Path(unquote(url.removeprefix("file://")))

    @contextlib.contextmanager
    def open(self, name: str, into: Path, context: FetchContext) -> Iterator[Path]:
        """Return the file itself: nothing is copied."""
        del into, context
        path = self._root / name
        try:
            status = path.stat()
            if not stat.S_ISREG(status.st_mode):
                raise Unreadable(f"{path} is not a plain file", uri=self.shown)
            with path.open("rb"):
                pass
        except FileNotFoundError:
            if not self._makes and not self._root.is_dir():
                raise NoAnswer(
                    f"the depot {self.shown} is not there",
                    uri=self.shown,
                    hint="is its file system mounted? `envy depot push` creates the folder",
                ) from None
            raise NotFound(f"{self.shown} has no {name}", uri=self.shown) from None
        except OSError as error:
            reason = error.strerror or error
            raise Unreadable(f"cannot read {path}: {reason}", uri=self.shown) from error
        with contextlib.suppress(OSError):
            os.utime(path)  # for `prune`, where this user may
        yield path

    def beginning(
        self, name: str, size: int, into: Path, context: FetchContext
    ) -> contextlib.AbstractContextManager[Path]:
        """Return the file itself."""
        del size
        return self.open(name, into, context)

    def has(self, name: str, context: FetchContext) -> bool:
        """Return whether the file is there."""
        del context
        path = self._root / name
        with contextlib.suppress(OSError):
            os.utime(path)
        try:
            path.stat()
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError as error:
            raise self._failed("read", error) from error
        return True

    def store(self, name: str, content: Path, context: FetchContext) -> bool:
        """Copy the content beside its name, then give it the name, unless it is taken."""
        target = self._root / name
        new = target.with_name(f".{target.name}.{os.urandom(6).hex()}")  # see _UNFINISHED
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                _copy(content, new, context)
                return _named(new, target)
            finally:
                new.unlink(missing_ok=True)
        except OSError as error:
            raise self._failed("write", error) from error

    def listed(self, context: FetchContext) -> Iterator[StoredObject]:
        """Yield the plain files with a name of an object."""
        try:
            for folder, folders, files in os.walk(self._root, onerror=_raise):
                folders.sort()
                context.check_cancelled()
                for file in sorted(files):
                    path = Path(folder, file)
                    name = path.relative_to(self._root).as_posix()
                    try:
                        status = path.lstat()
                    except FileNotFoundError:
                        continue  # a writer has just finished, or another has removed it
                    finished = _finished_name(name)
                    if is_object_name(finished or name) and stat.S_ISREG(status.st_mode):
                        yield StoredObject(
                            name=name,
                            size=status.st_size,
                            used_at=status.st_mtime,
                            is_unfinished=bool(finished),
                        )
        except OSError as error:
            raise self._failed("read", error) from error

    def remove(self, name: str, context: FetchContext) -> None:
        """Remove the file."""
        del context
        try:
            (self._root / name).unlink(missing_ok=True)
        except OSError as error:
            raise self._failed("write", error) from error

    def _failed(self, doing: str, error: OSError) -> FetchError:
        kind = ReadOnly if doing == "write" and error.errno in _REFUSED else FetchError
        return kind(
            f"cannot {doing} the depot {self.shown}: {error.strerror or error}", uri=self.shown
        )


def _finished_name(name: str) -> str:
    """Return the name that a file gets once it is written; "" if it is none being written."""
    found = _UNFINISHED.fullmatch(name)
    return found[1] + found[2] if found else ""


def _raise(error: OSError) -> None:
    raise error


def _copy(source: Path, target: Path, context: FetchContext) -> None:
    with source.open("rb") as reading, target.open("xb") as writing:
        while data := reading.read(_CHUNK):
            context.check_cancelled()
            writing.write(data)
        writing.flush()
        os.fsync(writing.fileno())


def _named(new: Path, target: Path) -> bool:
    """Give a file its name unless another file has it; return whether it got it."""
    try:
        os.link(new, target)
    except FileExistsError:
        return False
    except OSError:
        # A file system without hard links; two writers at the same moment have the same content.
        if target.exists():
            return False
        new.rename(target)
    return True
