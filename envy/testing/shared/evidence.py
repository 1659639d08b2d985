"""What a shared result rests on: rows of evidence that mean the same on every machine.

Only contents and names count, never times or inodes. A file whose status a test asked for counts
with its kind, size and content: a checkout gives it another time on each machine.

Guarantees
  The value of a variable is never shared, nor is the digest of a file outside of the project, the
  cache and the system.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Mapping, Sequence

from envy.masking import masked
from envy.testing.consulted import MOST, Unkept
from envy.testing.evidence import (
    FILE,
    FOLDER,
    LISTING,
    MISSING,
    REAL,
    STATUS,
    UNIGNORED,
    VARIABLE,
    Fact,
    observe,
    value_of,
)
from envy.testing.shared.places import HOME, PROJECT, NamedPlaces, Unshared, is_of_the_system

_UNREAD = "?"
_KINDS = frozenset({FILE, FOLDER, LISTING, UNIGNORED, STATUS, REAL, VARIABLE})
_RANDOM = re.compile(r"[0-9]{6}")
Row = tuple[str, str, str]  # kind, value, subject


def rows_of(
    facts: Iterable[Fact], places: NamedPlaces, environment: Mapping[str, str]
) -> list[Row]:
    """Return rows of evidence for other machines.

    Raises:
        Unshared: one of them means something on this machine only.
    """
    found: dict[tuple[str, str], str] = {}
    temporary = os.path.realpath(environment.get("TMPDIR") or "/tmp")  # noqa: S108
    for fact in facts:
        if fact.kind not in _KINDS:
            raise Unshared("it rests on which variables are set")
        if fact.kind == VARIABLE:
            if fact.value != MISSING:
                raise Unshared(f"its tests read the variable {fact.subject}")
            found[VARIABLE, fact.subject] = MISSING
            continue
        if fact.value == MISSING and _is_temporary(fact.subject, temporary):
            continue  # its name is random, so that nobody has had one of them before
        subject = _subject(fact, places)
        if "\t" in subject or "\n" in subject or not subject.isprintable():
            raise Unshared(f"a file has a strange name, {subject!r}")
        if masked(subject) != subject:
            raise Unshared("the name of a file has a secret")
        found[fact.kind, subject] = _shared_value(fact.kind, fact.value, fact.subject, places)
    return [(kind, value, subject) for (kind, subject), value in found.items()]


def _is_temporary(path: str, temporary: str) -> bool:
    return path.startswith(f"{temporary}/") and _RANDOM.search(path) is not None


def _subject(fact: Fact, places: NamedPlaces) -> str:
    path = os.path.normpath(fact.subject)
    named = places.named(path)
    if named and named.partition("/")[0] != HOME:
        return named
    # That nothing is there says nothing about this machine's files.
    if fact.value == MISSING or is_of_the_system(path):
        return path
    raise Unshared(f"it rests on {fact.subject}, which is not in the project")


def _shared_value(kind: str, value: str, path: str, places: NamedPlaces) -> str:
    """Return a value of this machine as it is on every other."""
    if value in {MISSING, _UNREAD}:
        if value == _UNREAD:
            raise Unshared(f"{path} is too large to be compared")
        return value
    if kind == FILE:
        return _content_of(value)
    if kind == STATUS:
        return _status_of(value, path, places)
    return places.text(value) if kind == REAL else value


def content_of(path: str) -> str:
    """Return the content of a program or a source here as it is compared elsewhere.

    Raises:
        Unshared: it is not known.
    """
    value = value_of(FILE, path, {})
    if value == _UNREAD:
        raise Unshared(f"{path} is too large to be compared")
    return _content_of(value)


def rows_in_key(facts: Iterable[Fact], places: NamedPlaces) -> list[str]:
    """Return rows for a key: the same on every machine on which the same things are there.

    That nothing is at a path outside of the project is left out: on a machine that has something
    there, this is one more row.

    Raises:
        Unshared: a value is not known.
    """
    found = []
    for fact in facts:
        subject = os.path.normpath(fact.subject)
        if places.named(subject).partition("/")[0] in {"", HOME} and _is_absent(fact):
            continue
        value = fact.value
        if fact.kind in {FILE, STATUS} or value == _UNREAD:
            value = _shared_value(fact.kind, value, fact.subject, places)
        found.append(f"{fact.kind} {value} {fact.subject}")
    return found


def _is_absent(fact: Fact) -> bool:
    if fact.kind == REAL:
        return not os.path.lexists(fact.value)
    return fact.value == MISSING and fact.kind != VARIABLE


def _content_of(value: str) -> str:
    """Return a digest, and whether the file can be run: other permissions differ by umask."""
    try:
        mode = int(value[-3:], 8)
    except ValueError:
        return value  # a device, say
    return value[:-3] + ("x" if mode & 0o100 else "-")


def _status_of(value: str, path: str, places: NamedPlaces) -> str:
    mode_text, *rest = value.split(" ", 3)
    mode = int(mode_text, 8)
    words = [str(stat.S_IFMT(mode)), "x" if mode & 0o100 else "-"]
    if stat.S_ISREG(mode):
        content = value_of(FILE, path, {})
        if value_of(STATUS, path, {}) != value:
            raise Unshared(f"{path} changed after the tests ran")
        words += [rest[0], _shared_value(FILE, content, path, places)]
    link = rest[2] if stat.S_ISREG(mode) and len(rest) > 2 else ""
    if not stat.S_ISREG(mode) and rest:
        link = " ".join(rest)
    return " ".join([*words, *([places.text(link)] if link else [])])


def differing(
    rows: Sequence[Row], places: NamedPlaces, environment: Mapping[str, str], *, most: int = 3
) -> list[str]:
    """Return what differs here from the rows of another machine, at most so many."""
    found: list[str] = []
    for kind, value, subject in rows:
        now = _here(kind, subject, places, environment)
        if now != value:
            what = f"variable {subject}" if kind == VARIABLE else subject
            verb = "is missing here" if now == MISSING else "differs"
            if value == MISSING:
                verb = "is set here" if kind == VARIABLE else "is there"
            said = f"{what.removeprefix(f'{PROJECT}/')} {verb}"
            if said not in found:  # its content was read, and its status asked for
                found.append(said)
            if len(found) >= most:
                break
    return found


def _here(kind: str, subject: str, places: NamedPlaces, environment: Mapping[str, str]) -> str:
    if kind == VARIABLE:
        return value_of(kind, subject, environment)
    path = places.path(subject)
    value = value_of(kind, path, environment)
    try:
        return _shared_value(kind, value, path, places)
    except Unshared:
        return _UNREAD


def local_facts(
    rows: Iterable[Row], places: NamedPlaces, environment: Mapping[str, str], *, since: int
) -> list[Fact]:
    """Return rows of another machine as evidence of this one.

    Raises:
        Unkept: a file changed so lately that its times prove nothing.
    """
    facts = []
    for kind, _value, subject in rows:
        path = subject if kind == VARIABLE else places.path(subject)
        try:
            facts.append(observe(kind, path, environment, since=since))
        except Exception as error:  # Unsettled, Unknown
            raise Unkept(f"{path} changed just before the run") from error
    return facts


def encode_rows(rows: Iterable[Row]) -> str:
    """Return rows as lines of text."""
    return "\n".join("\t".join(row) for row in rows)


def decode_rows(text: str, places: NamedPlaces) -> list[Row]:
    """Return the rows in a text that another machine wrote.

    Raises:
        ValueError: it is damaged, has too many rows, or names what no result may rest on.
    """
    if text.count("\n") >= MOST:
        raise ValueError(f"it rests on more than {MOST} files")
    found: list[Row] = []
    for line in text.split("\n") if text else ():
        kind, value, subject = line.split("\t")
        if kind not in _KINDS:
            raise ValueError(f"there is no kind {kind!r} of evidence")
        if kind == VARIABLE:
            if value != MISSING or not subject.isprintable():
                raise ValueError("it rests on the value of a variable")
        else:
            places.path(subject)
            is_foreign = subject.startswith((HOME, "/")) and not is_of_the_system(subject)
            if is_foreign and value != MISSING:
                raise ValueError(f"it rests on {subject}")
        found.append((kind, value, subject))
    return found
