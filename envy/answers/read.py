"""Reading an answer of an earlier run: what a manifest resolved to, if that still holds.

One file below `resolved/` for each manifest, written by `resolved`. It counts only while everything
that it rests on is as it was, by content, and the markers that it names are there; then it is what
a full run would say. Anything else, a damaged file too, and there is no answer.

Loads little, for a warm command is mostly its imports: columns of text, and no objects.
"""

from __future__ import annotations

import os
import stat
from itertools import islice

from blake3 import blake3

from envy.answers.facts import engine_facts, host_facts, match_digest, tree_digest
from envy.cache.names import ANSWER, ANSWERS_FOLDER, ASSET, ASSETS_FOLDER, DEPLOYED, DIGITS, MARKER
from envy.content.file_digest import combined_digest, file_digest, variable_digest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

FORMAT = "2"
# What is known of a recipe in a letter or two.
USER_MANAGED, EXCLUDED, DEPLOYS, PLAIN = "u", "x", "d", "-"
_MARKER_LIMIT = 65536


class Answer:
    """A resolved graph, column by column: a recipe is a position in each of them."""

    __slots__ = ("_needs", "aliases", "entry_keys", "flags", "keys", "marker", "named", "places")

    def __init__(
        self,
        *,
        keys: Sequence[str],
        aliases: Sequence[str],
        places: Sequence[str],
        entry_keys: Sequence[str],
        flags: Sequence[str],
        needs: Sequence[str],
        named: Mapping[str, int],
        marker: Sequence[str],
    ) -> None:
        self.keys = keys
        self.aliases = aliases  # what the recipe's own file calls it, or ""
        self.places = places  # `<identity>/<folder>`, below `assets`
        self.entry_keys = entry_keys  # "" where it was not asked for
        self.flags = flags
        self.named = named  # aliases of the manifest
        self.marker = marker  # what comes before, and what after the key in a marker
        self._needs = needs

    def needs(self, position: int) -> Iterable[int]:
        """What a recipe needs to run."""
        text = self._needs[position]
        return map(int, text.split(",")) if text else ()

    def roots(self) -> Iterable[int]:
        """What the manifest lists."""
        return self.needs(len(self.keys))


def answer_path(root: str, manifest: str) -> str:
    """Where the answer for a manifest is kept."""
    name = blake3(os.fsencode(manifest)).hexdigest()[:DIGITS]
    return f"{root}/{ANSWERS_FOLDER}/{name}{ANSWER}"


def facts(root: str, manifest: str) -> list[str]:
    """What has to be the same, whatever the manifest says."""
    return [FORMAT, root, manifest, *host_facts(), *engine_facts()]


def load_answer(root: str, manifest: str, environment: Mapping[str, str]) -> Answer | None:
    """The answer for a manifest, if there is one and everything it rests on is as it was."""
    try:
        # Not waited for, should a pipe lie in its place; that says nothing, and counts for nothing.
        with open(answer_path(root, manifest), "rb", 0, opener=_open_at_once) as file:
            data = file.read() or b""
        rows = columns_of(data)
        if rows is None or column(rows) != facts(root, manifest):
            return None
        if not _holds(rows, environment):
            return None
        return Answer(
            keys=column(rows),
            aliases=column(rows),
            places=column(rows),
            entry_keys=column(rows),
            flags=column(rows),
            needs=column(rows),
            named=dict(zip(column(rows), map(int, column(rows)), strict=True)),
            marker=column(rows),
        )
    except (OSError, ValueError, StopIteration):
        # Missing, damaged or of another version: all the same, the full way decides.
        return None


def _open_at_once(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def columns_of(data: bytes) -> Iterator[str] | None:
    """The texts in an answer's file, one after the other; None if it is damaged."""
    if blake3(data[64:]).hexdigest().encode("ascii") != data[:64]:
        return None
    return iter(data[64:].decode("utf-8", "surrogateescape").split("\0"))


def column(rows: Iterator[str]) -> list[str]:
    """The next list of texts: their number stands before them."""
    return list(islice(rows, int(next(rows))))


def _holds(rows: Iterator[str], environment: Mapping[str, str]) -> bool:
    """Whether the evidence is as it was: variables, files, patterns and trees, in this order."""
    names, digest = column(rows), column(rows)
    if [combined_digest([variable_digest(environment.get(name)) for name in names])] != digest:
        return False
    paths, digest = column(rows), column(rows)
    if [combined_digest(list(map(file_digest, paths)))] != digest:
        return False
    tops, patterns, matches = column(rows), column(rows), column(rows)
    trees, digests = column(rows), column(rows)
    if not tops and not trees:
        return True
    return list(map(match_digest, tops, patterns)) == matches and (
        list(map(tree_digest, trees)) == digests
    )


def closure_is_there(answer: Answer, goals: Iterable[int], root: str) -> list[int] | None:
    """The goals with what they need to run, if all of it is installed and nothing is to be asked.

    A user-managed package's check has to run, and a deploy that is not recorded, too.
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


def is_installed(answer: Answer, position: int, root: str) -> bool:
    """Whether a package is complete, as a lookup would say, and wants nothing more to be done."""
    key = answer.entry_keys[position]
    flags = answer.flags[position]
    if not key or USER_MANAGED in flags or EXCLUDED in flags:
        return False
    entry = f"{root}/{ASSETS_FOLDER}/{answer.places[position]}"
    try:
        marker = _read(f"{entry}/{MARKER}")
        if not stat.S_ISDIR(os.lstat(f"{entry}/{ASSET}").st_mode):
            return False
        if DEPLOYS in flags:
            os.stat(f"{entry}/{DEPLOYED}")
    except OSError:
        return False
    before, *after = answer.marker
    if marker.startswith(before + key) and marker[len(before) + len(key) :] in after:
        return True
    # Made under another root, or by another version: that takes knowing what markers say.
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
