"""The file functions of a recipe's ctx, on absolute paths.

Each raises an EnvyError that names the path and says what to do. The directory that relative paths
start from, and the functions that a phase has, are decided elsewhere.
"""

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from envy.content.atomic import atomic_write
from envy.content.below_root import open_below, parts_of
from envy.content.brought import LeadsOutside
from envy.content.file_names import names_matching
from envy.content.folder_walk import NotTaken
from envy.content.plain_file import NotPlain, read_plain
from envy.errors import EnvyError
from envy.interpreter import released
from envy.limits import LUA_MEMORY

if TYPE_CHECKING:
    from envy.content import tree_copy

_REMEDIES = {
    errno.ENOENT: "check the spelling; relative paths start from the phase's run directory",
    errno.ENOTDIR: "part of this path is a file, not a directory",
    errno.EISDIR: "the path is a directory",
    errno.EEXIST: "remove it first, or choose another name",
    errno.ENOTEMPTY: "remove it first, or choose another name",
    errno.EACCES: "check its owner and permissions",
    errno.EPERM: "check its owner and permissions",
    errno.EROFS: "the file system is mounted read-only",
    errno.ENOSPC: "free some space on this disk",
    errno.EDQUOT: "free some space within your quota",
    errno.ELOOP: "its symbolic links form a loop",
    errno.ENAMETOOLONG: "choose a shorter name",
}


@contextlib.contextmanager
def explained(doing: str, path: Path) -> Iterator[None]:
    """Turn the system's error into one with the operation, the path and a hint."""
    try:
        yield
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        where = error.filename
        if where is not None and os.fspath(where) != os.fspath(path) and error.errno:
            reason += f" ({os.fsdecode(where)})"
        raise EnvyError(
            f"cannot {doing} {path}: {reason}", hint=_REMEDIES.get(error.errno or 0, "")
        ) from error


def resolve(run_dir: Path, text: str) -> Path:
    """Return the absolute path of `text`, which is relative to `run_dir`."""
    if not text or "\0" in text:
        raise EnvyError(f"{text!r} is not a path", hint='write "." for the directory itself')
    return run_dir / text


def quote(text: str) -> str:
    """Return the text quoted as one word of a POSIX shell."""
    import shlex

    return shlex.quote(text)


def exists(path: Path) -> bool:
    """Return whether a path exists, following symbolic links."""
    with explained("inspect", path):
        return path.exists()


def ls(directory: Path) -> list[str]:
    """Return the names in a directory, sorted."""
    with explained("list", directory):
        return sorted(entry.name for entry in directory.iterdir())


def glob(directory: Path, pattern: str) -> list[str]:
    """Return the paths that match a pattern, sorted and relative to the directory.

    `**` matches any number of directories, but enters no linked one; a name with a leading dot is
    matched only by a pattern with a leading dot. An absolute pattern returns absolute paths.
    """
    with released(), explained("search", directory):
        return names_matching(pattern, str(directory))


def read(path: Path) -> str:
    """Return the text of a file; `write` restores bytes that are not UTF-8."""
    return content_of("read", path).decode("utf-8", "surrogateescape")


def content_of(doing: str, path: Path) -> bytes:
    """Return the content of a file that Lua code is about to have, within the limit of Lua."""
    try:
        with explained(doing, path):
            if path.is_dir():
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
            return read_plain(str(path), LUA_MEMORY)
    except NotPlain as error:
        raise EnvyError(
            f"cannot {doing} {path}: it {error}", hint=error.limit.hint if error.limit else ""
        ) from None


def write(path: Path, text: str) -> None:
    """Write a file, creating its parent directories; an existing file is replaced."""
    with explained("write", path):
        path.parent.mkdir(parents=True, exist_ok=True)
        _put(path, text.encode("utf-8", "surrogateescape"))


def replace(path: Path, old: str, new: str) -> int:
    """Replace every `old`, taken literally, and return the number; none is an error."""
    if not old:
        raise EnvyError(f"cannot replace an empty text in {path}", hint="say which text to replace")
    data = content_of("change", path)
    wanted = old.encode("utf-8", "surrogateescape")
    count = data.count(wanted)
    if not count:
        shown = old if len(old) <= 80 else old[:79] + "…"
        raise EnvyError(
            f"{path} does not contain {shown!r}",
            hint="the text is taken literally, with its spaces and line ends; "
            "has the file changed in this version?",
        )
    written = new.encode("utf-8", "surrogateescape")
    if len(data) + count * (len(written) - len(wanted)) > LUA_MEMORY.value:
        raise EnvyError(
            f"cannot change {path}: with {count} replacements it would be larger than "
            f"{LUA_MEMORY.shown}, the limit {LUA_MEMORY.name}",
            hint=LUA_MEMORY.hint,
        )
    with explained("change", path):
        _put(path, data.replace(wanted, written))
    return count


def _put(path: Path, data: bytes) -> None:
    """Write a temporary file and rename it over the existing one.

    Other hard links to the file (in the cache's downloads, for example) keep their content, and a
    read-only file, as many archives have, is replaced all the same.
    """
    path = Path(os.path.realpath(path))
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        path.write_bytes(data)
        return
    if not stat.S_ISREG(mode):
        raise OSError(errno.EISDIR if stat.S_ISDIR(mode) else errno.EEXIST, "", str(path))
    atomic_write(str(path), data, mode=stat.S_IMODE(mode))


def mkdir(path: Path) -> None:
    """Create a directory and its parents, unless it exists."""
    with explained("create the directory", path):
        path.mkdir(parents=True, exist_ok=True)


def symlink(target: str, link: Path) -> None:
    """Make `link` point to `target`, exactly as given; an existing link is replaced."""
    with explained("create the link", link):
        link.parent.mkdir(parents=True, exist_ok=True)
        if link.is_symlink():
            link.unlink()
        link.symlink_to(target)


def chmod(path: Path, mode: str) -> None:
    """Change permissions: octal digits such as "755", or letters such as "+x" and "u+w,go-w"."""
    with explained("change the permissions of", path):
        now = path.stat().st_mode
        path.chmod(parse_mode(mode, stat.S_IMODE(now), is_dir=stat.S_ISDIR(now)))


_WHO = {"u": 0o700, "g": 0o070, "o": 0o007, "a": 0o777}
_WHAT = {"r": 0o444, "w": 0o222, "x": 0o111}


def parse_mode(text: str, now: int, *, is_dir: bool = False) -> int:
    """Return the permissions after applying the mode `text` to the present ones."""
    if text and not set(text) - set("01234567") and int(text, 8) <= 0o7777:
        return int(text, 8)
    for clause in text.split(",") if isinstance(text, str) else [""]:
        sign = next((letter for letter in clause if letter in "+-="), "")
        who, _, what = clause.partition(sign) if sign else ("", "", "")
        if not sign or set(who) - set(_WHO) or set(what) - set("rwxX"):
            raise EnvyError(
                f"{text!r} is not a file mode", hint='write it as text, such as "755" or "u+x"'
            )
        classes = 0
        for letter in who or "a":
            classes |= _WHO[letter]
        bits = 0
        for letter in what:
            # X is x for directories, and for files that are already executable.
            wanted = letter != "X" or is_dir or bool(now & 0o111)
            bits |= _WHAT[letter.lower()] & classes if wanted else 0
        now = now & ~classes | bits if sign == "=" else now | bits if sign == "+" else now & ~bits
    return now


def copy(
    source: Path,
    destination: Path,
    *,
    into_directory: bool = False,
    contents: bool = False,
    root: Path | None = None,
    part: "tree_copy.FolderPart | None" = None,
) -> None:
    """Copy a file or a tree with its modes, times and symbolic links.

    The owner may write to the copy, even where the source is read-only as in a published package.

    The copy is created in `destination` if that is a directory (or with `into_directory`, for a
    name that ends in a slash), otherwise under exactly that name, replacing a file. Parents are
    created. A source that is itself a link is followed. With `contents`, the content of the source
    directory is copied into the destination (for a source written as "." or ending in "/.").

    Nothing is written through a link that leads outside of `root`, a folder above the destination;
    by default, outside of the destination itself. `part` says what is taken of a source folder.
    """
    with released(), explained("copy", source):
        target = _target(source, destination, into=into_directory, exact=contents)
        _copy_to(Path(os.path.realpath(source)), target, root=root, part=part)


def move(source: Path, destination: Path, *, into_directory: bool = False) -> None:
    """Move a file, a link or a tree, even to another file system; see `copy` for the target."""
    with released(), explained("move", source):
        target = _target(source, destination, into=into_directory, exact=False)
        try:
            source.rename(target)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            _move_across(source, target)


def _target(source: Path, destination: Path, *, into: bool, exact: bool) -> Path:
    """Return the path to copy or move a source to, and create its parent directories."""
    source.lstat()
    if not exact and (into or destination.is_dir()):
        destination = destination / Path(os.path.normpath(source)).name
    begin, end = Path(os.path.realpath(source)), _entry(destination)
    if end in (begin, _entry(source)):
        raise EnvyError(
            f"cannot copy or move {source} to itself", hint="choose another destination"
        )
    if end.is_relative_to(begin):
        raise EnvyError(
            f"cannot copy or move {source} into itself: {destination}",
            hint="choose another destination",
        )
    destination.parent.mkdir(parents=True, exist_ok=True)
    return destination


def _entry(path: Path) -> Path:
    """Return the real path of a name, without following the name itself if it is a link."""
    return Path(os.path.realpath(path.parent)) / path.name


def _copy_to(
    source: Path,
    target: Path,
    *,
    root: Path | None,
    part: "tree_copy.FolderPart | None" = None,
) -> None:
    from envy.content import tree_copy

    is_tree = source.is_dir()
    root = root or (target if is_tree else target.parent)
    parts = parts_of(os.path.relpath(target, root))
    try:
        with open_below(root) as below:
            if is_tree:
                tree_copy.copy_tree(source, below, parts, item=str(source), part=part)
            else:
                tree_copy.copy_file(source, below, parts)
    except NotTaken as error:
        raise EnvyError(error.why, hint=error.hint) from None
    except LeadsOutside as error:
        raise EnvyError(
            f"cannot copy {source}: it would be written through {error.why}",
            hint="remove the link first, or choose another destination",
        ) from None


def _move_across(source: Path, target: Path) -> None:
    if source.is_symlink():
        target.unlink(missing_ok=True)
        target.symlink_to(source.readlink())
    else:
        _copy_to(source, target, root=None)
    _remove_tree(source)


def remove(path: Path) -> bool:
    """Remove a file, a link or a tree, and return whether it existed."""
    if path == path.parent:
        raise EnvyError(f"cannot remove {path}", hint="it is the root of the file system")
    with released(), explained("remove", path):
        if not os.path.lexists(path):
            return False
        _remove_tree(path)
        return True


def _remove_tree(path: Path) -> None:
    import shutil

    if path.is_symlink() or not path.is_dir():
        path.unlink()
        return
    try:
        shutil.rmtree(path)
    except PermissionError:
        # Some tools leave read-only directories, whose entries cannot be removed.
        path.chmod(0o700)
        for directory, names, _ in os.walk(path):
            for inner in (Path(directory, name) for name in names):
                if not inner.is_symlink():
                    inner.chmod(0o700)
        shutil.rmtree(path)
