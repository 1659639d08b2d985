"""What a remembered result rests on: files, folders, statuses, links, variables, as rows of text.

A row has a kind, a subject, a mark and a value. The value decides. The mark is the status of the
file (size, times and inode) when the value was taken: while it is the same, the file is not read.
Every driver describes what its results rest on with these rows; a row means nothing here but what
its kind says. Warm commands load this module, so it imports little.

Guarantees
  A different mark leads to the value, never to an answer.
  What may have changed since a given moment has no value: `Unsettled`. The times of files may be
  coarse, so callers give a moment some time before the run.
"""

from __future__ import annotations

import os
import stat

from blake3 import blake3

from envy.content.file_digest import file_digest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

# Kinds of rows, by what the value is.
FILE = "file"  # the digest of the content
FOLDER = "folder"  # the digest of the names in it, without those that start with . or _
LISTING = "listing"  # the digest of all the names in it
UNIGNORED = "unignored"  # the digest of the names in it that git does not ignore
STATUS = "status"  # kind, mode, size and time of a file; kind and mode of a folder
REAL = "real"  # the path that links lead to
VARIABLE = "variable"  # the digest of the value
NAMES = "names"  # the digest of the names of the variables that start with one of the prefixes
KINDS = frozenset({FILE, FOLDER, LISTING, UNIGNORED, STATUS, REAL, VARIABLE, NAMES})

MISSING = "-"
OTHER = "!"  # a device, a pipe, or a folder where a file was meant
_SHORT = 32
_LARGE = 256 << 20  # bytes; a larger file is not read, and counts as changed when its mark differs
_UNREAD = "?"


class Fact:
    """One row. `mark` is "" if only the value can tell."""

    __slots__ = ("kind", "mark", "subject", "value")

    def __init__(self, kind: str, subject: str, value: str, mark: str = "") -> None:
        self.kind = kind
        self.subject = subject
        self.value = value
        self.mark = mark


class Unsettled(Exception):
    """Something may have changed since the run started, so that its value proves nothing."""

    def __init__(self, subject: str) -> None:
        super().__init__(subject)
        self.subject = subject


class Unknown(Exception):
    """Something cannot be described as a row: a name with a tab or a newline."""


def mark_of(path: str) -> str:
    """Return the status of what a path leads to, as a mark."""
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return MISSING
    return f"{found.st_size} {found.st_mtime_ns} {found.st_ctime_ns} {found.st_ino}"


def is_settled(mark: str, since: int) -> bool:
    """Return whether a mark says that nothing changed since this moment, in nanoseconds."""
    if mark == MISSING:
        return True
    _size, changed, status_changed, _inode = mark.split(" ")
    return max(int(changed), int(status_changed)) < since


def value_of(kind: str, subject: str, environment: Mapping[str, str]) -> str:
    """Return the present value of a row."""
    if kind == FILE:
        return _content(subject)
    if kind in {FOLDER, LISTING}:
        return _names(subject, hidden=kind == LISTING)
    if kind == UNIGNORED:
        return _unignored(subject)
    if kind == STATUS:
        return _status(subject)
    if kind == REAL:
        return os.path.realpath(subject)
    return _of_variables(kind, subject, environment)


def _of_variables(kind: str, subject: str, environment: Mapping[str, str]) -> str:
    if kind == VARIABLE:
        text = environment.get(subject)
        return MISSING if text is None else digest_of(os.fsencode(text))
    prefixes = tuple(subject.split(" "))
    names = sorted(name for name in environment if name.startswith(prefixes))
    return digest_of(os.fsencode("\n".join(names)))


def digest_of(data: bytes) -> str:
    """Return a short digest: it recognises a value, and guards nothing against an attacker."""
    return blake3(data).hexdigest()[:_SHORT]


def _content(path: str) -> str:
    try:
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode):
            return OTHER
        if status.st_size > _LARGE:
            return _UNREAD
        digest = file_digest(path)
    except (OSError, ValueError):
        return MISSING
    # A script that lost its permission to be run is another file for those who run it.
    return MISSING if digest is None else f"{digest[:_SHORT]}{status.st_mode & 0o777:03o}"


def _names(path: str, *, hidden: bool) -> str:
    try:
        with os.scandir(path) as found:
            rows = sorted(
                f"{entry.name}{'/' if entry.is_dir() else ''}"
                for entry in found
                if hidden or entry.name[0] not in "._"
            )
    except (OSError, ValueError):
        return MISSING
    return digest_of(os.fsencode("\n".join(rows)))


def _unignored(path: str) -> str:
    from envy.testing.ignoring import names_of

    try:
        return digest_of(os.fsencode(names_of(path)))
    except (OSError, ValueError):
        return MISSING


def _status(path: str) -> str:
    try:
        found = os.lstat(path)
        link = ""
        if stat.S_ISLNK(found.st_mode):
            link = f" {os.readlink(path)}"
            found = os.stat(path)
    except (OSError, ValueError):
        return MISSING
    if stat.S_ISREG(found.st_mode):
        return f"{found.st_mode:o} {found.st_size} {found.st_mtime_ns}{link}"
    # The time of a folder changes with every temporary file, that of a device with every use.
    return f"{found.st_mode:o}{link}"


def observe(kind: str, subject: str, environment: Mapping[str, str], *, since: int) -> Fact:
    """Return the row of what is there now, as the run that started at `since` has seen it.

    Raises:
        Unsettled: it may have changed since; Unknown: no row can name it.
    """
    mark = ""
    if kind in {FILE, FOLDER, LISTING, UNIGNORED}:
        mark = mark_of(subject)
    value = value_of(kind, subject, environment)
    fact = Fact(kind, subject, value, mark)
    if "\n" in subject or "\t" in subject or "\0" in subject or "\n" in value or "\t" in value:
        raise Unknown(subject)
    if mark:
        if value == OTHER:
            fact.mark = ""
        elif not is_settled(mark, since) or mark_of(subject) != mark:
            raise Unsettled(subject)
    elif kind == STATUS:
        _check_status(subject, value, since)
    return fact


def _check_status(subject: str, value: str, since: int) -> None:
    """Raise Unsettled if a file whose status was asked for has changed."""
    is_file = value != MISSING and stat.S_ISREG(int(value.partition(" ")[0], 8))
    if is_file and not is_settled(mark_of(subject), since):
        raise Unsettled(subject)


def changes(
    facts: Iterable[Fact], environment: Mapping[str, str], *, settled: int, most: int = 1
) -> tuple[list[str], bool]:
    """Return what has changed, at most so many, and whether any mark was renewed.

    A mark that differs over an unchanged value is replaced in the row, unless the file changed
    since `settled`: another change may then leave the same mark.
    """
    found: list[str] = []
    renewed = False
    stat_of = os.stat
    for fact in facts:
        mark = fact.mark
        if mark:
            try:
                status = stat_of(fact.subject)
                seen = f"{status.st_size} {status.st_mtime_ns} {status.st_ctime_ns} {status.st_ino}"
            except (OSError, ValueError):
                seen = MISSING
            if seen == mark:
                continue
        value = value_of(fact.kind, fact.subject, environment)
        if value != fact.value or value == _UNREAD:
            found.append(said(fact, value))
            if len(found) >= most:
                break
        elif mark and is_settled(seen, settled) and mark_of(fact.subject) == seen:
            fact.mark = seen
            renewed = True
    return found, renewed


def recheck(
    text: str, environment: Mapping[str, str], *, settled: int, most: int = 1
) -> tuple[list[str], str]:
    """Return the same for rows in a text, and the text with renewed marks, "" if none was.

    Rows whose marks hold are not decoded: a toolchain has more than ten thousand.

    Raises:
        ValueError: the text is damaged.
    """
    lines = text.split("\n") if text else []
    stat_of = os.stat
    odd = []
    for at, line in enumerate(lines):
        _kind, mark, _value, subject = line.split("\t")
        if mark:
            try:
                status = stat_of(subject)
                seen = f"{status.st_size} {status.st_mtime_ns} {status.st_ctime_ns} {status.st_ino}"
            except OSError:
                seen = MISSING
            if seen == mark:
                continue
        odd.append(at)
    facts = decode_facts("\n".join(lines[at] for at in odd))
    found, renewed = changes(facts, environment, settled=settled, most=most)
    if not renewed:
        return found, ""
    for at, fact in zip(odd, facts, strict=True):
        lines[at] = encode_facts([fact])
    return found, "\n".join(lines)


def said(fact: Fact, value: str) -> str:
    """Return what to tell a user about a row whose value is another now."""
    if fact.kind == VARIABLE:
        verb = "is set now" if fact.value == MISSING else "is unset now" if value == MISSING else ""
        return f"variable {fact.subject} {verb or 'changed'}"
    if fact.kind == NAMES:
        return f"other variables {fact.subject.replace(' ', '*, ')}* are set"
    if fact.value == MISSING:
        return f"{fact.subject} is there now"
    return f"{fact.subject} {'was removed' if value == MISSING else 'changed'}"


def encode_facts(facts: Iterable[Fact]) -> str:
    """Return rows as lines of text."""
    return "\n".join(f"{fact.kind}\t{fact.mark}\t{fact.value}\t{fact.subject}" for fact in facts)


def decode_facts(text: str) -> list[Fact]:
    """Return the rows in a text.

    Raises:
        ValueError: it is damaged.
    """
    found = []
    for line in text.split("\n") if text else ():
        kind, mark, value, subject = line.split("\t")
        if kind not in KINDS:
            raise ValueError(f"there is no kind {kind!r}")
        if mark and mark != MISSING:
            _size, changed, status_changed, _inode = mark.split(" ")
            int(changed), int(status_changed)
        found.append(Fact(kind, subject, value, mark))
    return found
