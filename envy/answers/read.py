"""Reading a stored answer: what a manifest resolved to in an earlier run, if that still holds.

There is one file below `resolved/` for each manifest, written by `answers.write`. It is valid only
while the content of everything in its evidence is unchanged; then it equals the result of a full
run. In every other case, a damaged file included, there is no answer.

This module imports little and reads columns of text instead of objects, because imports dominate
the time of a warm command.
"""

from __future__ import annotations

import os
import stat
from itertools import islice

from blake3 import blake3

from envy.answers.facts import engine_facts, host_facts, match_digest, tree_digest
from envy.cache.names import (
    ANSWER,
    ANSWERS_FOLDER,
    ASSET,
    ASSETS_FOLDER,
    DEPLOYED,
    DIGITS,
    MARKER,
    SHIMS_FOLDER,
)
from envy.content.file_digest import combined_digest, file_digest, variable_digest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

FORMAT = "3"
# The flags of a recipe, one letter each.
USER_MANAGED, EXCLUDED, DEPLOYS, HAS_SHIMS, PLAIN = "u", "x", "d", "s", "-"
UNPINNED = "unpinned"  # a sync may find something else upstream
USED = "used"  # the environment of programs is known
LAUNCHERS = "launchers"  # a sync writes launchers
_MARKER_LIMIT = 65536
_LARGEST = 256 << 20  # an answer that is larger is not used


class StoredAnswer:
    """The resolved graph of a manifest as columns; a recipe is a position in each column."""

    __slots__ = (
        "_needs",
        "aliases",
        "distances",
        "dotenv",
        "entry_keys",
        "entry_names",
        "flags",
        "folders",
        "host",
        "keys",
        "manifest_aliases",
        "marker_parts",
        "marks",
        "products",
        "variables",
    )

    def __init__(
        self,
        *,
        host: Sequence[str],
        marks: Sequence[str],
        keys: Sequence[str],
        aliases: Sequence[str],
        entry_names: Sequence[str],
        entry_keys: Sequence[str],
        flags: Sequence[str],
        distances: Sequence[str],
        needs: Sequence[str],
        manifest_aliases: Mapping[str, int],
        marker_parts: Sequence[str],
        variables: Sequence[str],
        folders: Sequence[str],
        products: Sequence[str],
        dotenv: Sequence[str],
    ) -> None:
        self.host = host  # texts for `answers.machine_programs.rows_of`
        self.marks = marks  # UNPINNED, USED, LAUNCHERS
        # Of the environment of programs, if it is known; `answers.use` reads them.
        self.variables = variables
        self.folders = folders
        self.products = products
        self.dotenv = dotenv  # one path, or nothing
        self.keys = keys
        self.aliases = aliases  # the alias that the recipe's own file declares, or ""
        self.entry_names = entry_names  # `<identity>/<folder>`, below `assets`
        self.entry_keys = entry_keys  # "" where no key was computed
        self.flags = flags
        self.distances = distances  # from the manifest; "" for packages not used in the project
        self.manifest_aliases = manifest_aliases  # positions by alias
        self.marker_parts = marker_parts  # a marker's text before the key, and texts after it
        self._needs = needs

    def needs(self, position: int) -> Iterable[int]:
        """Return the positions of the recipes that a recipe needs to run."""
        text = self._needs[position]
        return map(int, text.split(",")) if text else ()

    def roots(self) -> Iterable[int]:
        """Return the positions of the recipes that the manifest lists."""
        return self.needs(len(self.keys))


def answer_path(root: str, manifest: str) -> str:
    """Return the path of the stored answer for a manifest."""
    name = blake3(os.fsencode(manifest)).hexdigest()[:DIGITS]
    return f"{root}/{ANSWERS_FOLDER}/{name}{ANSWER}"


def preconditions(root: str, manifest: str) -> list[str]:
    """Return the texts that must be unchanged for any answer to hold."""
    return [FORMAT, root, manifest, *host_facts(), *engine_facts()]


def load_answer(root: str, manifest: str, environment: Mapping[str, str]) -> StoredAnswer | None:
    """Return the stored answer for a manifest if all its evidence still holds, else None.

    The programs of the machine in the evidence are not compared, and are in the answer.
    """
    try:
        rows = columns_of(_content(answer_path(root, manifest)))
        if rows is None or column(rows) != preconditions(root, manifest):
            return None
        if not _holds(rows, environment):
            return None
        return StoredAnswer(
            host=column(rows),
            marks=column(rows),
            keys=column(rows),
            aliases=column(rows),
            entry_names=column(rows),
            entry_keys=column(rows),
            flags=column(rows),
            distances=column(rows),
            needs=column(rows),
            manifest_aliases=dict(zip(column(rows), map(int, column(rows)), strict=True)),
            marker_parts=column(rows),
            variables=column(rows),
            folders=column(rows),
            products=column(rows),
            dotenv=column(rows),
        )
    except (OSError, ValueError, StopIteration):
        # Missing, damaged or written by another version: a full run decides.
        return None


def _content(path: str) -> bytes:
    """Return the content of a plain file; b"" for anything else, which is never waited for.

    Like `content.plain_file`, which would be one more module to load, and so would its limit.
    """
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_size > _LARGEST:
            return b""
        return os.read(descriptor, status.st_size)
    finally:
        os.close(descriptor)


def columns_of(data: bytes) -> Iterator[str] | None:
    """Return an iterator over the texts in an answer's file; None if the file is damaged."""
    if blake3(data[64:]).hexdigest().encode("ascii") != data[:64]:
        return None
    return iter(data[64:].decode("utf-8", "surrogateescape").split("\0"))


def column(rows: Iterator[str]) -> list[str]:
    """Read the next list of texts, which is preceded by its length."""
    return list(islice(rows, int(next(rows))))


def _holds(rows: Iterator[str], environment: Mapping[str, str]) -> bool:
    """Return whether the evidence is unchanged; variables, files, patterns, trees in this order."""
    names, digest = column(rows), column(rows)
    if [combined_digest([variable_digest(environment.get(name)) for name in names])] != digest:
        return False
    paths, digest = column(rows), column(rows)
    if [combined_digest(list(map(file_digest, paths)))] != digest:
        return False
    tops, patterns, matches = column(rows), column(rows), column(rows)
    trees, rules, digests = column(rows), column(rows), column(rows)
    if not tops and not trees:
        return True
    return list(map(match_digest, tops, patterns)) == matches and (
        list(map(tree_digest, trees, rules)) == digests
    )


def evidence_paths(root: str, manifest: str) -> tuple[list[str], list[str]]:
    """Return the files and the folders that the stored answer for a manifest rests on.

    Raises:
        OSError, ValueError, StopIteration: there is none that can be read.
    """
    rows = columns_of(_content(answer_path(root, manifest)))
    if rows is None:
        raise ValueError(manifest)
    for _ in range(3):  # the preconditions, and the variables
        column(rows)
    files, _digest = column(rows), column(rows)
    tops, _patterns, _matches = column(rows), column(rows), column(rows)
    return files, [*tops, *column(rows)]


def installed_closure(answer: StoredAnswer, goals: Iterable[int], root: str) -> list[int] | None:
    """Return the goals and everything they need to run, or None if something needs work.

    A user-managed package always needs work, because its check has to run; so does a package whose
    deploy is not recorded.
    """
    seen: set[int] = set()
    pending = list(goals)
    while pending:
        position = pending.pop()
        if position in seen:
            continue
        seen.add(position)
        if not is_installed(answer, position, root):
            return None
        pending += answer.needs(position)
    return sorted(seen)


def is_installed(answer: StoredAnswer, position: int, root: str) -> bool:
    """Return whether a package's entry is complete and deployed, as a full lookup would find."""
    key = answer.entry_keys[position]
    flags = answer.flags[position]
    if not key or USER_MANAGED in flags or EXCLUDED in flags:
        return False
    entry = f"{root}/{ASSETS_FOLDER}/{answer.entry_names[position]}"
    try:
        marker = _read(f"{entry}/{MARKER}")
        if not stat.S_ISDIR(os.lstat(f"{entry}/{ASSET}").st_mode):
            return False
        if DEPLOYS in flags:
            os.stat(f"{entry}/{DEPLOYED}")
        if HAS_SHIMS in flags:
            os.stat(f"{entry}/{SHIMS_FOLDER}")
    except OSError:
        return False
    before, *after = answer.marker_parts
    if marker.startswith(before + key) and marker[len(before) + len(key) :] in after:
        return True
    # Written under another root or by another version: the marker has to be parsed.
    from envy.cache.layout import EntryPaths
    from envy.cache.read import lookup
    from envy.errors import CacheError

    try:
        return lookup(EntryPaths(root, entry), key).hit
    except CacheError:
        return False


def _read(path: str) -> str:
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    try:
        return os.read(descriptor, _MARKER_LIMIT).decode("utf-8", "surrogateescape")
    finally:
        os.close(descriptor)
