"""Writing below one folder, the root, and nowhere else, whatever links it contains.

Owns every look-up of an untrusted name: a member of an archive, a file of a repository, `into` and
`dest`, a row of a fingerprint.

Guarantees
  A path is looked up from the open root, component by component, by descriptors. The system never
  follows a link: links that stay below the root are followed here, those that leave it are refused.
  The last component of a path that is written, removed or changed is never followed.
  A file is always created, never opened for writing: an existing one may have another hard link.
  A look-up follows at most 40 links and takes at most 4,096 steps, so the cost is linear in the
  number of links, whatever chains they form.
"""

# Plain os functions: these run once per entry, perhaps a hundred thousand times.
# ruff: noqa: PTH103

import contextlib
import errno
import os
import stat
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType

from envy.content.arrivals import Arrivals, Content
from envy.content.brought import Brought, LeadsOutside, Links, Parts, described
from envy.content.open_file import set_time
from envy.content.spelling import check_spelling
from envy.content.unpacked_size import UnpackedSize
from envy.content.written_digests import WrittenDigests

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_MOST_LINKS = 40  # the limit of Linux
_MOST_STEPS = 4096
_LONGEST_PATH = 4095
_OPEN_FOLDERS = 32  # descriptors kept for the next look-up
_NOT_A_FOLDER = frozenset({errno.ENOTDIR, errno.ELOOP, errno.EMLINK})


class BelowRoot:
    """An open folder. Every path is a tuple of names relative to it, without `.` and `..`."""

    def __init__(self, root: str | Path, links: Links | None = None) -> None:
        self.given = os.fspath(root)
        self.root = os.path.realpath(self.given)
        # By their real paths. A link is never replaced by a folder, nor a folder by a link.
        self.links: Links = {} if links is None else links
        self.arrivals: Arrivals | None = None  # set while several items are unpacked
        self.unpacked = UnpackedSize()
        self.digests: WrittenDigests | None = None  # of the files that archives bring
        self.is_final = False  # true: nothing changes these files before they are published
        self._open: dict[Parts, int] = {(): os.open(self.root, _FOLDER)}
        self._real: dict[Parts, Parts] = {}  # real paths of folders; a new link may change them

    def __enter__(self) -> "BelowRoot":
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: object, _trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the root; nothing can be looked up any more."""
        for descriptor in self._open.values():
            os.close(descriptor)
        self._open.clear()

    # -- looking up ------------------------------------------------------------------------------

    def folder(self, parts: Parts) -> int:
        """Return a descriptor of a folder, valid until the next call; create it if it is missing.

        Raises:
            LeadsOutside: a link on the way leaves the root.
            NotADirectoryError: a component is neither a folder nor a link to one.
        """
        return self._descriptor(self.real_folder(parts))

    def real_folder(self, parts: Parts) -> Parts:
        """Return the real path of a folder, and create it if it is missing; raises as `folder`."""
        real = self._real.get(parts)
        if real is None:
            if sum(map(len, parts)) + len(parts) + len(self.root) > _LONGEST_PATH:
                raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG), parts[-1][:80])
            # From the folder above if it is known, so that deep trees do not take quadratic time.
            known = self._real.get(parts[:-1])
            start, names = ((), parts) if known is None else (known, parts[-1:])
            real = self._real[parts] = self._walk(start, names, create=True)
        return real

    def find(self, parts: Sequence[str], *, follow: bool) -> Parts:
        """Return the real path that `parts` lead to, whether it exists or not.

        A missing component counts as a folder to be created. Here `parts` may have `..`. Without
        `follow`, the last component is not followed if it is a link.

        Raises:
            LeadsOutside: the path, or a link on the way, leaves the root.
        """
        if follow or not parts or parts[-1] in {"", ".", ".."}:
            return self._walk((), parts, create=False)
        return (*self._walk((), parts[:-1], create=False), parts[-1])

    def _above(self, parts: Parts) -> int:
        """Return a descriptor of the folder that a path is in, which must exist."""
        real = self._real.get(parts[:-1])
        return self._descriptor(self.find(parts[:-1], follow=True) if real is None else real)

    def _walk(self, start: Parts, names: Iterable[str], *, create: bool) -> Parts:
        real: Parts = start
        waiting = [*names][::-1]
        followed: list[Parts] = []
        steps = 0
        while waiting:
            name = waiting.pop()
            steps += 1
            if steps > _MOST_STEPS:
                raise self._outside(followed, what="a link with too long a path")
            if name in {"", "."}:
                continue
            if name == "..":
                if not real:
                    raise self._outside(followed)
                real = real[:-1]
                continue
            path = (*real, name)
            to = self._enter(real, name, create=create)
            if to is None:
                real = path
                continue
            followed.append(path)
            if len(followed) > _MOST_LINKS:
                raise self._too_many(followed)
            inner = self._inner(to)
            if inner is None:
                raise self._outside(followed)
            real = () if to.startswith("/") else real
            waiting += inner[::-1]
        return real

    def _outside(self, followed: Sequence[Parts], *, what: str = "") -> LeadsOutside:
        """Return the error for a look-up that has followed these links, and left the root."""
        if not followed:
            return LeadsOutside((), None, what=what)
        first, last = followed[0], followed[-1]
        other = described(first, self.links.get(first)) if first != last else ""
        return LeadsOutside(last, self.links.get(last), what=what, other=other)

    def _too_many(self, followed: Sequence[Parts]) -> Exception:
        if len(set(followed)) < len(followed):
            return OSError(errno.ELOOP, os.strerror(errno.ELOOP), "/".join(followed[0]))
        what = f"a link that leads on through more than {_MOST_LINKS} links"
        return self._outside(followed[:1], what=what)

    def _inner(self, to: str) -> Sequence[str] | None:
        """Return the components of a link's target; None if it is absolute and not below."""
        if not to.startswith("/"):
            return to.split("/")
        for root in (self.given, self.root):
            if to == root or to.startswith(root.rstrip("/") + "/"):
                return to[len(root) :].split("/")
        return None

    def _enter(self, real: Parts, name: str, *, create: bool) -> str | None:
        """Open a folder; return None, or the target of the link that has this name.

        What is missing, or is a file, counts as a folder unless folders are to be created.
        """
        path = (*real, name)
        if path in self._open:
            return None
        try:
            above = self._descriptor(real)
            made = self.unpacked if create else None
            self._keep(path, _open_folder(name, above, made))
        except OSError as error:
            if error.errno == errno.ENOENT and not create:
                return None
            if error.errno not in _NOT_A_FOLDER:
                raise
            with contextlib.suppress(OSError):
                return os.readlink(name, dir_fd=self._descriptor(real))
            if not create:
                return None
            self._check_taken(path, is_folder=False)
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), name) from None
        return None

    def _descriptor(self, real: Parts) -> int:
        descriptor = self._open.get(real)
        if descriptor is not None:
            return descriptor
        known = len(real) - 1
        while real[:known] not in self._open:
            known -= 1
        descriptor = self._open[real[:known]]
        for end in range(known + 1, len(real) + 1):
            descriptor = _open_folder(real[end - 1], descriptor)
            self._keep(real[:end], descriptor)
        return descriptor

    def _keep(self, path: Parts, descriptor: int) -> None:
        if len(self._open) >= _OPEN_FOLDERS:
            oldest = next(other for other in self._open if other)
            os.close(self._open.pop(oldest))
        self._open[path] = descriptor

    # -- changing --------------------------------------------------------------------------------

    def create_file(self, parts: Parts, mode: int) -> int:
        """Create a file, in place of another file or link, and return its descriptor.

        Raises:
            LeadsOutside: its folder, or a link that it would replace, leads outside.
            NotADirectoryError, IsADirectoryError: a folder is a file, or the name is a folder's.
            PathConflict: the same, and another item brought it.
            SameToFileSystem: it would replace a file whose name is spelled otherwise.
        """
        above = self.folder(parts[:-1])
        try:
            descriptor = os.open(parts[-1], _CREATE, mode, dir_fd=above)
        except FileExistsError:
            self._make_room(parts)
            descriptor = os.open(parts[-1], _CREATE, mode, dir_fd=self.folder(parts[:-1]))
        self._note(parts)
        return descriptor

    def create_link(self, parts: Parts, brought: Brought) -> None:
        """Create a symbolic link, in place of another file or link; raises as `create_file`.

        Raises:
            LeadsOutside: the link is judged and leads outside.
        """
        real = (*self.real_folder(parts[:-1]), parts[-1])
        if brought.judged:
            self._judge_target(real, brought)
        self._make_room(parts)
        os.symlink(brought.to, parts[-1], dir_fd=self._descriptor(real[:-1]))
        self.links[real] = brought
        self._real.clear()
        if self.arrivals is not None:
            self.arrivals.note(real[:-1], real[-1])

    def create_hard_link(self, source: Parts, parts: Parts) -> bool:
        """Link to a file; False if the file system has no hard links. Raises as `create_file`."""
        self._make_room(parts)
        below = os.dup(self.folder(source[:-1]))
        try:
            above = self.folder(parts[:-1])
            os.link(
                source[-1], parts[-1], src_dir_fd=below, dst_dir_fd=above, follow_symlinks=False
            )
        except (OSError, NotImplementedError):
            return False
        finally:
            os.close(below)
        self._note(parts)
        return True

    def open_file(self, parts: Parts) -> int:
        """Return a descriptor to read a file with, which must not be a link."""
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        return os.open(parts[-1], flags, dir_fd=self._above(parts))

    def status(self, parts: Parts) -> os.stat_result | None:
        """Return the status of a path, its last component not followed; None if it is missing."""
        try:
            return os.stat(parts[-1], dir_fd=self._above(parts), follow_symlinks=False)
        except FileNotFoundError:
            return None

    def read_link(self, parts: Parts) -> str:
        """Return the target of a link."""
        return os.readlink(parts[-1], dir_fd=self._above(parts))

    def content(self, parts: Parts) -> Content | None:
        """Return what is compared of a file or a link; None if it is missing or neither."""
        status = self.status(parts)
        if status is None or stat.S_ISDIR(status.st_mode):
            return None
        if stat.S_ISLNK(status.st_mode):
            return Content(is_link=True, executable=False, digest=self.read_link(parts))
        import hashlib

        with open(self.open_file(parts), "rb") as file:  # noqa: PTH123
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        executable = bool(status.st_mode & stat.S_IXUSR)
        return Content(is_link=False, executable=executable, digest=digest)

    def set_mode(self, parts: Parts, mode: int) -> None:
        """Set the permissions of a file or folder; nothing for a link."""
        above = self._above(parts)
        # No system call sets the mode of what is known not to be a link in one step.
        if not stat.S_ISLNK(os.stat(parts[-1], dir_fd=above, follow_symlinks=False).st_mode):
            os.chmod(parts[-1], mode, dir_fd=above)

    def set_folder_time(self, parts: Parts, mtime: int) -> None:
        """Set the time of a folder; not an error if the file system cannot store it."""
        set_time(self.folder(parts), mtime)

    def _make_room(self, parts: Parts) -> None:
        """Remove the file or link that has the name of something to be created."""
        status = self.status(parts)
        if status is None:
            return
        real = (*self.real_folder(parts[:-1]), parts[-1])
        check_spelling(real, self._descriptor, self.arrivals.item_at if self.arrivals else None)
        if stat.S_ISDIR(status.st_mode):
            self._check_taken(real, is_folder=True)
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), parts[-1])
        if stat.S_ISLNK(status.st_mode):
            # Refused if it leads outside: its author may mean the target, not the link.
            with contextlib.suppress(OSError):
                self.find(parts, follow=True)
            self._real.clear()
        if self.arrivals is not None:
            self.arrivals.note_replaced(real, self.content)
        os.unlink(parts[-1], dir_fd=self.folder(parts[:-1]))

    def _note(self, parts: Parts) -> None:
        if self.arrivals is not None:
            self.arrivals.note(self.real_folder(parts[:-1]), parts[-1])

    def _check_taken(self, real: Parts, *, is_folder: bool) -> None:
        conflict = self.arrivals and self.arrivals.taken(real, is_folder=is_folder)
        if conflict:
            raise conflict from None

    # -- links together --------------------------------------------------------------------------

    def judge(self) -> None:
        """Check that no judged link leads outside, when all of them have been created.

        Each was judged when it was created; later links may have changed where it leads.

        Raises:
            LeadsOutside: a link leads outside; it is removed, and described by the error.
        """
        for path, brought in [*self.links.items()]:
            if self._target_now(path) != brought.to:
                del self.links[path]  # replaced by something else
            elif brought.judged:
                self._judge_removing(path, brought)

    def _target_now(self, path: Parts) -> str | None:
        try:
            return os.readlink(path[-1], dir_fd=self._descriptor(path[:-1]))
        except OSError:
            return None

    def _judge_removing(self, path: Parts, brought: Brought) -> None:
        try:
            self._judge_target(path, brought)
        except LeadsOutside:
            os.unlink(path[-1], dir_fd=self._descriptor(path[:-1]))
            raise

    def _judge_target(self, path: Parts, brought: Brought) -> None:
        inner = self._inner(brought.to)
        if inner is None:
            raise LeadsOutside(path, brought)
        start = () if brought.to.startswith("/") else path[:-1]
        try:
            self._walk(start, inner, create=False)
        except LeadsOutside as error:
            other = described(error.link, error.brought) if error.link not in {(), path} else ""
            raise LeadsOutside(path, brought, what=error.what, other=other) from None
        except OSError as error:
            # A loop, or a name that cannot exist: it leads nowhere.
            if error.errno not in {errno.ELOOP, errno.ENAMETOOLONG}:
                raise


def _open_folder(name: str, above: int, made: UnpackedSize | None = None) -> int:
    """Open a folder; with `made`, it is created if it is missing, and counted there."""
    try:
        return os.open(name, _FOLDER, dir_fd=above)
    except FileNotFoundError:
        if made is None:
            raise
        made.files += 1
        os.mkdir(name, dir_fd=above)
        return os.open(name, _FOLDER, dir_fd=above)


def open_below(root: str | Path, links: Links | None = None) -> BelowRoot:
    """Create a folder unless it exists, and open it."""
    os.makedirs(root, exist_ok=True)
    return BelowRoot(root, links)


def parts_of(path: str) -> Parts:
    """Return the components of a relative path, without `.`."""
    return tuple(part for part in path.split("/") if part not in {"", "."})
