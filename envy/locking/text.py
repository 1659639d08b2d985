"""`envy.lock` as text: one line for each fact, sorted, in words separated by blanks.

A line has the package, the kind, the platform, the subject and the values, so that a line means
the same wherever a merge puts it, and `grep PACKAGE envy.lock` finds all of a package. A word
that is empty, or has blanks, other than printable ASCII, or a quote or `#` at its start, is a JSON
string. Equal locks have equal bytes.

Owns the strict reading: a lock that was damaged, cut off or made up names its line and its entry.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from envy.content.plain_file import NotPlain, read_plain
from envy.host.named_platforms import NAMED_PLATFORMS
from envy.limits import LOCK_FILE
from envy.locking.lock import (
    BUNDLE,
    CHOICE,
    COMMIT,
    DOWNLOAD,
    EVERYWHERE,
    FORMAT,
    KINDS,
    LOCK_NAME,
    MANIFEST,
    MINIMUM_ENVY,
    RECIPE,
    RELEASE,
    REQUIREMENTS,
    UNKNOWN,
    VERSION,
    LockEntry,
    LockError,
    ProjectLock,
)

_HEAD = "# What envy.lua resolves to. `envy lock` writes this file: commit it, and do not edit it."
_END = "end"  # the last line, so that a file that was cut off is noticed
_BARE = re.compile(r"[!$-~][!-~]*")
_WORD = re.compile(r'("(?:[^"\\]|\\.)*"|[!$-~][!-~]*)(?: |$)')
_PACKAGE = re.compile(r"[A-Za-z0-9_+-]+\.[A-Za-z0-9_+.-]+@[A-Za-z0-9_+.-]+(\{.*\})?", re.DOTALL)
_LENGTHS = {  # without md5 and sha1, which verify nothing
    "sha256": 64,
    "blake3": 64,
    "sha384": 96,
    "sha512": 128,
    "blake2b": 128,
}
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
# It becomes a line of a requirements file: nothing in it may begin another line, or a comment.
_RELEASE_OF = re.compile(r"pypi:[A-Za-z0-9][A-Za-z0-9._-]*(; [A-Za-z0-9._'\"<>=!~ (),*+/-]+)?")
_SIZE = re.compile(r"0|[1-9][0-9]{0,17}")
_LONGEST_NAME = 255
_OURS, _BASE, _THEIRS, _AFTER = "<<<<<<<", "|||||||", "=======", ">>>>>>>"
_REMAKE = f"run `envy lock`, or restore {LOCK_NAME}"


def lock_text(lock: ProjectLock) -> str:
    """Return the text of a lock."""
    rows = [_HEAD, f"format {FORMAT}", f"envy {MINIMUM_ENVY}"]
    rows += [f"platform {name}" for name in sorted(lock.platforms)]
    for entry in sorted(lock.entries):
        words = (entry.package, entry.kind, entry.platform, entry.subject, *entry.values)
        rows.append(" ".join(map(_quoted, words)))
    return "\n".join([*rows, _END, ""])


def _quoted(word: str) -> str:
    return word if _BARE.fullmatch(word) else json.dumps(word)


def read_lock(path: Path) -> ProjectLock | None:
    """Return the lock at a path; None if there is no file.

    Raises:
        LockError: as for `parse_lock`, or the file cannot be read.
    """
    content = _content(path)
    return None if content is None else parse_lock(content)


def readable_part(path: Path) -> tuple[ProjectLock | None, str]:
    """Return the lock at a path, and what is wrong with it; then only what can be read of it.

    Of two lines about one thing, the first counts: of a conflict, the side of the one who merges.

    Raises:
        LockError: the lock is of a newer envy, or the file cannot be read.
    """
    content = _content(path)
    if content is None:
        return None, ""
    try:
        return parse_lock(content), ""
    except DamagedLock as error:
        rows = list(_one_side(_rows(content.decode("utf-8", "replace"))))
        return _Reader(is_lenient=True).read(rows), error.problem


def _content(path: Path) -> bytes | None:
    try:
        return read_plain(str(path), LOCK_FILE)
    except FileNotFoundError:
        return None
    except NotPlain as error:
        remedy = error.limit.hint if error.limit else "remove it and run `envy lock`"
        raise LockError(f"{LOCK_NAME} {error}: {remedy}") from None
    except OSError as error:
        raise LockError(
            f"{LOCK_NAME} cannot be read ({error.strerror}): make it readable, then run `envy lock`"
        ) from error


class DamagedLock(LockError):
    """A lock that a part can be read of; `problem` is the message without the command."""

    def __init__(self, problem: str, remedy: str = _REMAKE) -> None:
        super().__init__(f"{problem}: {remedy}")
        self.problem = problem


def parse_lock(content: bytes) -> ProjectLock:
    """Return the lock of a text.

    Raises:
        LockError: the lock is damaged, in conflict, or of a newer envy. It names line and entry.
    """
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DamagedLock(f"{LOCK_NAME}:{line}: it is not UTF-8 text") from None
    rows = _rows(text)
    marker = next((number for number, row in rows if _is_marker(row)), None)
    if marker is not None:
        raise _in_conflict(marker, rows)
    return _Reader(is_lenient=False).read(rows)


def _rows(text: str) -> list[tuple[int, str]]:
    return list(enumerate(text.replace("\r\n", "\n").split("\n"), 1))


def _is_marker(row: str) -> bool:
    return row[:7] in {_OURS, _AFTER} and row[7:8] in {"", " "}


def _in_conflict(line: int, rows: Iterable[tuple[int, str]]) -> DamagedLock:
    after = (row.split(" ", 1)[0] for number, row in rows if number > line and "@" in row)
    entry = next(after, "")
    at = f" at {entry}" if entry else ""
    return DamagedLock(
        f"{LOCK_NAME}:{line}: it has conflict markers of git{at}",
        "run `envy lock`, which resolves them",
    )


def _one_side(rows: Iterable[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    """Yield the lines of both sides of each conflict, without the common ancestor."""
    is_inside = is_base = False
    for number, row in rows:
        mark = row[:7]
        if mark == _OURS:
            is_inside = True
        elif is_inside and mark == _BASE:
            is_base = True
        elif is_inside and row == _THEIRS:
            is_base = False
        elif mark == _AFTER:
            is_inside = is_base = False
        elif not is_base:
            yield number, row


class _Reader:
    """Reads the lines of one lock; if it is lenient, it leaves out those that are wrong."""

    def __init__(self, *, is_lenient: bool) -> None:
        self._is_lenient = is_lenient
        # A damaged first line is no reason to lose the others; a newer format is always seen.
        self._format = str(FORMAT) if is_lenient else ""
        self._envy = ""
        self._platforms: list[str] = []
        self._entries: dict[tuple[str, ...], LockEntry] = {}
        self._everywhere: dict[tuple[str, ...], bool] = {}
        self._is_whole = False

    def read(self, rows: Sequence[tuple[int, str]]) -> ProjectLock:
        """Return the lock of all lines, with their numbers."""
        for number, row in rows:
            try:
                self._read(number, row)
            except DamagedLock:
                if not self._is_lenient:
                    raise
        return self._result(len(rows))

    def _read(self, number: int, row: str) -> None:
        if not row or row.startswith("#"):
            return
        words = _words(row)
        if words is None:
            raise _error(number, row.split(" ", 1)[0], "the line is not made of words")
        if self._is_whole and not self._is_lenient:
            raise _error(number, words[0], "it stands after the end")
        if not self._format and words[0] != "format":
            raise _error(number, words[0], "the format is missing before it")
        if words == [_END]:
            self._is_whole = True
        elif words[0] in {"format", "envy", "platform"}:
            self._read_head(number, words)
        else:
            self._add(number, words)

    def _read_head(self, number: int, words: list[str]) -> None:
        if len(words) != 2:
            raise _error(number, words[0], "it needs one value")
        name, value = words
        if name == "format":
            self._format = value
        elif name == "envy":
            self._envy = value
            if self._format != str(FORMAT):
                raise _newer(self._format, value)
        elif value not in NAMED_PLATFORMS:
            raise _error(number, f"platform {value}", "there is no such platform")
        elif value in self._platforms:
            raise _error(number, f"platform {value}", "it is listed twice")
        else:
            self._platforms.append(value)

    def _add(self, number: int, words: list[str]) -> None:
        if self._format != str(FORMAT):
            raise _newer(self._format, self._envy)
        if len(words) < 4:
            raise _error(number, words[0], "the line is too short")
        package, kind, platform, subject, *values = words
        shown = f"{package} {kind} {subject}"
        problem = _problem(package, kind, values)
        if not problem and kind == RELEASE and not _RELEASE_OF.fullmatch(subject):
            problem = "it is not about a project of the package index"
        if not problem and platform not in {EVERYWHERE, *self._platforms}:
            problem = f"the platform {platform} is not one of this lock"
        if problem:
            raise _error(number, shown, problem)
        entry = LockEntry(package, kind, subject, platform, tuple(values))
        first = self._everywhere.setdefault(entry.topic, platform == EVERYWHERE)
        is_twice = (*entry.topic, platform) in self._entries or first != (platform == EVERYWHERE)
        if is_twice:
            raise _error(number, shown, "it is listed twice")
        self._entries[*entry.topic, platform] = entry

    def _result(self, lines: int) -> ProjectLock:
        if self._format and self._format != str(FORMAT):
            raise _newer(self._format, self._envy)
        if not self._is_whole and not self._is_lenient:
            last = max(self._entries.values(), default=None)
            after = f" after {last.package}" if last else ""
            raise DamagedLock(f"{LOCK_NAME}:{lines}: it was cut off{after}")
        return ProjectLock(tuple(sorted(self._platforms)), tuple(sorted(self._entries.values())))


def _words(row: str) -> list[str] | None:
    words: list[str] = []
    at = 0
    while at < len(row):
        found = _WORD.match(row, at)
        if found is None:
            return None
        word = found[1]
        if word.startswith('"'):
            try:
                word = json.loads(word)
            except ValueError:
                return None
        words.append(word)
        at = found.end()
    return None if row.endswith(" ") else words


def _problem(package: str, kind: str, values: list[str]) -> str:
    """Return what is wrong with the words of an entry, or ""."""
    if package != MANIFEST and not _is_package(package):
        return "it does not begin with a package"
    names = KINDS.get(kind)
    if names is None:
        return f"there is no kind of entry {kind!r}"
    if kind != RELEASE and len(values) != len(names):
        return f"it has {len(values)} values instead of {len(names)}"
    if kind in {DOWNLOAD, RELEASE}:
        check = _problem_of_download if kind == DOWNLOAD else _problem_of_release
        return check(*values)
    if not values or _FORMS[kind](values[0]):
        return ""
    return f"{values[0]!r} is not a {names[0]}"


def _problem_of_download(file: str, digest: str, size: str) -> str:
    if file in {"", ".", ".."} or re.search(r"[/\\\x00-\x1f\x7f]", file):
        return f"{file!r} is not a plain file name"
    if len(file) > _LONGEST_NAME:
        return "the file name is too long"
    if not _is_digest(digest):
        return f"{digest!r} is not a digest"
    return "" if size == UNKNOWN or _SIZE.fullmatch(size) else f"{size!r} is not a size"


def _problem_of_release(version: str = "", *files: str) -> str:
    if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.!+_-]{0,99}", version) is None:
        return f"{version!r} is not a version"
    if not files or len(files) % 3:
        return "it needs the name, digest and size of each file"
    rows = zip(files[::3], files[1::3], files[2::3], strict=True)
    return next(filter(None, (_problem_of_download(*row) for row in rows)), "")


def _is_digest(text: str) -> bool:
    algorithm, _, digits = text.partition(":")
    length = _LENGTHS.get(algorithm)
    return len(digits) == length and re.fullmatch(r"[0-9a-f]+", digits) is not None


def _is_pin(text: str) -> bool:
    commit = text.removeprefix("commit:")
    return text == UNKNOWN or (_is_digest(text) if commit == text else _is_commit(commit))


def _is_commit(text: str) -> bool:
    return _COMMIT.fullmatch(text) is not None


def _is_package(text: str) -> bool:
    return _PACKAGE.fullmatch(text) is not None


def _is_version(text: str) -> bool:
    return text != "" and len(text) <= _LONGEST_NAME


_FORMS = {
    BUNDLE: _is_pin,
    CHOICE: _is_package,
    COMMIT: _is_commit,
    RECIPE: _is_pin,
    REQUIREMENTS: _is_digest,
    VERSION: _is_version,
}


def _error(line: int, entry: str, problem: str) -> DamagedLock:
    shown = entry if len(entry) <= 200 else f"{entry[:200]}…"
    shown = re.sub(r"[\x00-\x1f\x7f]", "?", shown)
    return DamagedLock(f"{LOCK_NAME}:{line}: {shown}: {problem}")


def _newer(number: str, envy: str) -> LockError:
    needs = f", for envy {envy} or newer" if re.fullmatch(r"[0-9.]{1,20}", envy) else ""
    shown = number if re.fullmatch(r"[0-9]{1,9}", number) else "unknown"
    return LockError(
        f"{LOCK_NAME} was written by a newer envy (its format is {shown}, not {FORMAT}{needs}): "
        f"install that envy, or remove {LOCK_NAME} and run `envy lock`"
    )
