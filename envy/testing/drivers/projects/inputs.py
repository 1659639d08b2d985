"""What the results of a project rest on: observed before anything of it runs, confirmed afterwards.

By default these are all files below its folder that git does not ignore, its lock files, its
programs, and what they load. The manifest may name `inputs` in the place of the files.

Guarantees
  A file counts with the content that it had before the tests ran; one that changed meanwhile keeps
  the results from being remembered. Of a folder only the names count, before and after.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from envy.declarations.suite_settings import SuiteSettings
from envy.testing.basis import behind_link, is_new_folder
from envy.testing.consulted import Unkept
from envy.testing.evidence import (
    FILE,
    FOLDER,
    LISTING,
    MISSING,
    OTHER,
    REAL,
    UNIGNORED,
    Fact,
    digest_of,
    is_settled,
    mark_of,
    value_of,
)
from envy.testing.ignoring import IgnoreRules, rules_of, unignored

MOST_FILES = 20_000
TREE = "tree"  # no row, but stands for those of all that git does not ignore below a folder
_MARKED = frozenset({FILE, FOLDER, LISTING, UNIGNORED})


class Snapshot:
    """Rows with the values of a moment before the tests ran, each once."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._rows: dict[tuple[str, str], Fact] = {}
        self.unkept = ""  # why nothing that rests on this can be remembered

    def add(self, kind: str, subject: str) -> Fact:
        """Observe a row."""
        fact = self._rows.get((kind, subject))
        if fact is None:
            mark = mark_of(subject) if kind in _MARKED else ""
            fact = Fact(kind, subject, value_of(kind, subject, self._environment), mark)
            if any(sign in subject or sign in fact.value for sign in "\n\t\0"):
                self.unkept = f"a file has a strange name, {subject!r}"
            self._rows[kind, subject] = fact
            if kind == FILE and fact.value == OTHER and os.path.isdir(subject):  # noqa: PTH112
                self.add(REAL, subject)  # a link to a folder
        return fact

    def add_rows(self, rows: Iterable[tuple[str, str]]) -> None:
        """Observe rows of (kind, subject); of a folder that is TREE, all below it."""
        for kind, subject in rows:
            if kind == TREE:
                _add_folder(self, subject)
            else:
                self.add(kind, subject)

    @property
    def subjects(self) -> list[tuple[str, str]]:
        """What was observed, as rows of (kind, subject)."""
        return list(self._rows)

    @property
    def facts(self) -> list[Fact]:
        """The rows."""
        return list(self._rows.values())

    @property
    def digest(self) -> str:
        """The digest of all values."""
        rows = sorted(f"{fact.kind} {fact.value} {fact.subject}" for fact in self._rows.values())
        return digest_of("\n".join(rows).encode("utf-8", "surrogateescape"))

    @property
    def files(self) -> dict[str, str]:
        """The digests of its files."""
        return {fact.subject: fact.value for fact in self._rows.values() if fact.kind == FILE}

    def confirmed(self, since: int) -> list[Fact]:
        """Return the rows, if they are still true; nothing changed after `since`.

        Raises:
            Unkept: something changed just before the run, or while it lasted.
        """
        if self.unkept:
            raise Unkept(self.unkept)
        for fact in self._rows.values():
            if fact.kind not in _MARKED:
                continue
            if not is_settled(fact.mark, since):
                raise Unkept(f"{fact.subject} changed just before the run, or during it")
            if mark_of(fact.subject) == fact.mark:
                continue
            # Tests may make and remove files in a folder; a file that was written is another.
            value = value_of(fact.kind, fact.subject, self._environment)
            if fact.kind == FILE or value != fact.value:
                raise Unkept(f"{fact.subject} changed during the run")
        return list(self._rows.values())


def add_inputs(
    snapshot: Snapshot,
    directory: Path,
    settings: SuiteSettings,
    lock_files: Sequence[str],
    *,
    root: Path,
) -> None:
    """Observe the inputs of a project; `root` is the folder of the manifest."""
    for name in lock_files:
        snapshot.add(FILE, f"{directory}/{name}")
    if settings.inputs is None:
        _add_folder(snapshot, str(directory))
        return
    for pattern in settings.inputs:
        for path in _named(root, pattern):
            if path.is_dir():
                _add_folder(snapshot, str(path))
            if not path.is_dir() or path.is_symlink():
                snapshot.add(FILE, str(path))


def _named(root: Path, pattern: str) -> list[Path]:
    """Return the files and folders that a pattern of `inputs` names; itself if it names none."""
    if not any(sign in pattern for sign in "*?["):
        return [Path(os.path.normpath(root / pattern))]
    parts = Path(pattern)
    if parts.is_absolute():
        found = Path(parts.anchor).glob(str(parts.relative_to(parts.anchor)))
    else:
        found = root.glob(pattern)
    return sorted(found)


def _add_folder(snapshot: Snapshot, top: str) -> None:
    """Observe all that git does not ignore below a folder, and what decides on that.

    A link to a folder is followed, wherever that is: tests read what is behind it.
    """
    above = rules_of(top)
    for rules in above:
        snapshot.add(FILE, f"{rules.folder}/.gitignore")
    stack: list[tuple[str, list[IgnoreRules] | None]] = [(top, None)]
    count, seen = 0, set[tuple[int, int]]()
    while stack:
        folder, rules_above = stack.pop()
        if not is_new_folder(folder, seen):
            continue
        snapshot.add(UNIGNORED, folder)
        try:
            entries = unignored(folder, rules_above)
        except OSError:
            continue  # counts as missing, unless it can be read later
        own = rules_of(folder, rules_above)
        for name, is_folder in entries:
            path = f"{folder}/{name}"
            if is_folder:
                stack.append((path, own))
                continue
            count += 1
            if count > MOST_FILES:
                snapshot.unkept = (
                    f"{top} has more than {MOST_FILES} files; name its `inputs` in the manifest"
                )
                return
            fact = snapshot.add(FILE, path)
            if fact.value == OTHER and os.path.isdir(path):  # noqa: PTH112
                try:
                    stack.append((behind_link(path), None))
                except Unkept as error:
                    snapshot.unkept = str(error)
                    return


def of_rows(
    rows: Iterable[tuple[str, str]], observed: Iterable[tuple[str, str]]
) -> set[tuple[str, str]]:
    """Return which observed rows are some of others; of a folder that is TREE, all below it.

    What is below the folders that links in it lead to belongs to it, too.
    """
    wanted, observed = set(rows), list(observed)
    folders = {subject for kind, subject in wanted if kind == TREE}
    links = [subject for kind, subject in observed if kind == REAL]
    while True:
        below = tuple(f"{folder}/" for folder in folders)
        behind = {os.path.realpath(link) for link in links if link.startswith(below)}
        if behind <= folders:
            break
        folders |= behind
    return {
        row for row in observed if row in wanted or row[1] in folders or row[1].startswith(below)
    }


def program_rows(program: str) -> list[tuple[str, str]]:
    """Return the rows for a program: its file, and the file that links lead to."""
    return [(REAL, program), (FILE, os.path.realpath(program))]


def path_rows(name: str, path: str, here: str) -> list[tuple[str, str]]:
    """Return the rows for a program as PATH finds it, and that no earlier folder has it."""
    rows = []
    for folder in path.split(os.pathsep):
        candidate = os.path.join(here, folder, name)  # noqa: PTH118 - a name, not a file yet
        rows.append((FILE, candidate))
        if mark_of(candidate) != MISSING and os.access(candidate, os.X_OK):
            return [*rows, *program_rows(candidate)]
    return rows
