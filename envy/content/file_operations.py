"""The file functions of a recipe's ctx, on absolute paths.

Each one raises an EnvyError that names the path and what to do. What ctx passes on (which directory
relative paths start from, which functions a phase has) is decided elsewhere.
"""

import contextlib
import errno
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from envy.content.atomic import atomic_write
from envy.errors import EnvyError, ScriptFailed
from envy.host.process import Completed
from envy.interpreter import released

# Runs a program in a directory and captures what it writes; missing, it raises ScriptFailed (127).
ProgramRunner = Callable[[Sequence[str], Path], Completed]

_REMEDIES = {
    errno.ENOENT: "check the spelling; relative paths start from the phase's run directory",
    errno.ENOTDIR: "a part of this path is a file, not a directory",
    errno.EISDIR: "it is a directory",
    errno.EEXIST: "remove it first, or choose another name",
    errno.ENOTEMPTY: "remove it first, or choose another name",
    errno.EACCES: "check who owns it and its permissions",
    errno.EPERM: "check who owns it and its permissions",
    errno.EROFS: "the file system is mounted read-only",
    errno.ENOSPC: "free some space on that disk",
    errno.EDQUOT: "free some space within your quota",
    errno.ELOOP: "its symbolic links lead in a circle",
    errno.ENAMETOOLONG: "choose a shorter name",
}


@contextlib.contextmanager
def _explained(doing: str, path: Path) -> Iterator[None]:
    """Turn the system's error into one that says what was being done, to what, and a remedy."""
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
    """The absolute path that an author's `text` means in `run_dir`."""
    if not text or "\0" in text:
        raise EnvyError(f"{text!r} is no path", hint='the directory itself is "."')
    return run_dir / text


def quote(text: str) -> str:
    """One word of a POSIX shell that stands for exactly this text."""
    import shlex

    return shlex.quote(text)


def exists(path: Path) -> bool:
    """Whether there is something, at the end of symbolic links."""
    with _explained("look at", path):
        return path.exists()


def ls(directory: Path) -> list[str]:
    """The names in a directory, sorted."""
    with _explained("list", directory):
        return sorted(entry.name for entry in directory.iterdir())


def glob(directory: Path, pattern: str) -> list[str]:
    """What matches the pattern, sorted, as paths relative to the directory.

    `**` stands for any number of directories; names with a leading dot are matched only by a
    pattern with one. An absolute pattern gives absolute paths.
    """
    from glob import glob as expand

    with released(), _explained("search", directory):
        # Path.glob knows no hidden files, and gives absolute paths.
        return sorted(expand(pattern, root_dir=directory, recursive=True))  # noqa: PTH207


def read(path: Path) -> str:
    """The text of a file; bytes that are no UTF-8 survive the way back through `write`."""
    with _explained("read", path):
        return path.read_bytes().decode("utf-8", "surrogateescape")


def write(path: Path, text: str) -> None:
    """Make a file of this text, with its parents; a file that is there is replaced."""
    with _explained("write", path):
        path.parent.mkdir(parents=True, exist_ok=True)
        _put(path, text.encode("utf-8", "surrogateescape"))


def replace(path: Path, old: str, new: str) -> int:
    """Replace every `old`, taken literally, and return how many there were; none is an error."""
    if not old:
        raise EnvyError(f"cannot replace nothing in {path}", hint="say which text to replace")
    with _explained("change", path):
        data = path.read_bytes()
    wanted = old.encode("utf-8", "surrogateescape")
    count = data.count(wanted)
    if not count:
        shown = old if len(old) <= 80 else old[:79] + "…"
        raise EnvyError(
            f"{path} does not contain {shown!r}",
            hint="the text is taken literally, with its spaces and line ends; "
            "has the file changed in this version?",
        )
    with _explained("change", path):
        _put(path, data.replace(wanted, new.encode("utf-8", "surrogateescape")))
    return count


def _put(path: Path, data: bytes) -> None:
    """Write a file beside the one that is there and rename it over that one.

    A file that other names are linked to (in the cache's downloads, say) keeps its content there,
    and one that is read-only, as many archives have them, is no obstacle.
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
    """Make a directory and its parents; one that is there is fine."""
    with _explained("make the directory", path):
        path.mkdir(parents=True, exist_ok=True)


def symlink(target: str, link: Path) -> None:
    """Make `link` point to `target`, as it is written; a link that is there is replaced."""
    with _explained("make the link", link):
        link.parent.mkdir(parents=True, exist_ok=True)
        if link.is_symlink():
            link.unlink()
        link.symlink_to(target)


def chmod(path: Path, mode: str) -> None:
    """Change permissions: octal digits such as "755", or letters such as "+x" and "u+w,go-w"."""
    with _explained("change the permissions of", path):
        now = path.stat().st_mode
        path.chmod(parse_mode(mode, stat.S_IMODE(now), is_dir=stat.S_ISDIR(now)))


_WHO = {"u": 0o700, "g": 0o070, "o": 0o007, "a": 0o777}
_WHAT = {"r": 0o444, "w": 0o222, "x": 0o111}


def parse_mode(text: str, now: int, *, is_dir: bool = False) -> int:
    """The permissions that `text` makes of those that there are `now`."""
    if text and not set(text) - set("01234567") and int(text, 8) <= 0o7777:
        return int(text, 8)
    for clause in text.split(",") if isinstance(text, str) else [""]:
        sign = next((letter for letter in clause if letter in "+-="), "")
        who, _, what = clause.partition(sign) if sign else ("", "", "")
        if not sign or set(who) - set(_WHO) or set(what) - set("rwxX"):
            raise EnvyError(
                f"{text!r} is no file mode", hint='write it as text, such as "755" or "u+x"'
            )
        people = 0
        for letter in who or "a":
            people |= _WHO[letter]
        bits = 0
        for letter in what:
            # X is x where it makes sense: for directories, and for what is executable already.
            wanted = letter != "X" or is_dir or bool(now & 0o111)
            bits |= _WHAT[letter.lower()] & people if wanted else 0
        now = now & ~people | bits if sign == "=" else now | bits if sign == "+" else now & ~bits
    return now


def copy(
    source: Path, destination: Path, *, into_directory: bool = False, contents: bool = False
) -> None:
    """Copy a file or a tree with its modes, times and the symbolic links in it.

    What cannot be written, as in a published package, can be written by its owner in the copy.

    It goes into `destination` if that is a directory (or `into_directory`, for a name that ends in
    a slash), otherwise to exactly that name; a file there is replaced. Parents are made. A source
    that is itself a link is followed. With `contents`, what is in the source directory goes into
    the destination (for a source that is written as "." or ends in "/.").
    """
    with released(), _explained("copy", source):
        target = _target(source, destination, into=into_directory, exact=contents)
        _copy_to(Path(os.path.realpath(source)), target)


def move(source: Path, destination: Path, *, into_directory: bool = False) -> None:
    """Move a file, a link or a tree, to another file system too; named as for `copy`."""
    with released(), _explained("move", source):
        target = _target(source, destination, into=into_directory, exact=False)
        try:
            source.rename(target)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            _move_across(source, target)


def _target(source: Path, destination: Path, *, into: bool, exact: bool) -> Path:
    """Where a source goes, with the directories above it made."""
    source.lstat()
    if not exact and (into or destination.is_dir()):
        destination = destination / Path(os.path.normpath(source)).name
    begin, end = Path(os.path.realpath(source)), _entry(destination)
    if end in (begin, _entry(source)):
        raise EnvyError(
            f"cannot put {source} into its own place", hint="choose another destination"
        )
    if end.is_relative_to(begin):
        raise EnvyError(
            f"cannot put {source} into a directory of its own: {destination}",
            hint="choose another destination",
        )
    destination.parent.mkdir(parents=True, exist_ok=True)
    return destination


def _entry(path: Path) -> Path:
    """The place of a name itself, which may be that of a link."""
    return Path(os.path.realpath(path.parent)) / path.name


def _copy_to(source: Path, target: Path) -> None:
    import shutil

    if source.is_dir():
        try:
            shutil.copytree(
                source,
                target,
                symlinks=True,
                dirs_exist_ok=True,
                copy_function=lambda one, other: _let_owner_write(shutil.copy2(one, other)),
            )
        except shutil.Error as error:
            first, _, reason = error.args[0][0]
            raise EnvyError(f"cannot copy {first}: {reason}") from error
        for directory, _, _ in os.walk(target):
            _let_owner_write(directory)
        return
    if not source.is_file() and source.exists():
        raise EnvyError(
            f"cannot copy {source}: it is neither a file nor a directory",
            hint="sockets, pipes and devices cannot be part of a package",
        )
    # What is there may be read-only, or a link that leads elsewhere.
    with contextlib.suppress(FileNotFoundError):
        target.unlink()
    _let_owner_write(shutil.copy2(source, target))


def _let_owner_write(path: str | Path) -> str:
    mode = Path(path).lstat().st_mode
    if not stat.S_ISLNK(mode) and not mode & stat.S_IWUSR:
        Path(path).chmod(stat.S_IMODE(mode) | stat.S_IWUSR)
    return str(path)


def _move_across(source: Path, target: Path) -> None:
    if source.is_symlink():
        target.unlink(missing_ok=True)
        target.symlink_to(source.readlink())
    else:
        _copy_to(source, target)
    _remove_tree(source)


def remove(path: Path) -> bool:
    """Remove a file, a link or a tree, and tell whether there was one."""
    if path == path.parent:
        raise EnvyError(f"cannot remove {path}", hint="it is the root of the file system")
    with released(), _explained("remove", path):
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
        # Some tools leave read-only directories, from which nothing can be removed.
        path.chmod(0o700)
        for directory, names, _ in os.walk(path):
            for inner in (Path(directory, name) for name in names):
                if not inner.is_symlink():
                    inner.chmod(0o700)
        shutil.rmtree(path)


def patch(
    directory: Path, *, run: ProgramRunner, file: Path | None = None, text: str = "", strip: int = 1
) -> None:
    """Apply a unified diff, a file or a text, to what is in a directory.

    Done by the `patch` program, or by git where that one is missing or the diff is a binary one.
    """
    if file is not None:
        with _explained("read the patch", file):
            _apply(directory, file, file.read_bytes(), strip, run)
        return
    import tempfile

    data = text.encode("utf-8", "surrogateescape")
    with _explained("write the patch for", directory), tempfile.TemporaryDirectory() as scratch:
        written = Path(scratch) / "the.patch"
        written.write_bytes(data)
        _apply(directory, written, data, strip, run)


def _apply(directory: Path, file: Path, data: bytes, strip: int, run: ProgramRunner) -> None:
    by_patch = None if b"\nGIT binary patch\n" in data else _patch_words(directory, run)
    words = by_patch or [
        # Above the directory may stand somebody's repository, which git would take for the place.
        *("env", f"GIT_CEILING_DIRECTORIES={directory.parent}"),
        *("git", "apply", "--whitespace=nowarn"),
    ]
    completed = run([*words, f"-p{strip}", *(("-i",) if by_patch else ()), str(file)], directory)
    if completed.exit_code:
        said = (completed.stdout + completed.stderr).decode("utf-8", "replace").strip()
        raise EnvyError(
            f"the patch {file.name} does not apply in {directory}:\n{_indented(said)}",
            hint=f"is it made for this version, and are {strip} leading directories to be dropped "
            "(strip)?",
        )


def _patch_words(directory: Path, run: ProgramRunner) -> list[str] | None:
    try:
        version = run(["patch", "--version"], directory).stdout
    except ScriptFailed as error:
        if error.exit_code_of_script != 127:
            raise
        return None
    # Other kinds of patch do not know these two, and do not need them.
    tidy = ["--no-backup-if-mismatch", "--reject-file=-"] if version.startswith(b"GNU") else []
    return ["patch", "-N", "-s", *tidy]


def _indented(text: str) -> str:
    return "\n".join(f"  | {line}" for line in text.splitlines()[-20:])
