"""Keeping answers: what a manifest resolved to, so that a warm command needs no Lua.

`answer` reads what is written here, and says when it counts.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from blake3 import blake3

from envy.answers.evidence import Evidence
from envy.answers.read import (
    DEPLOYS,
    EXCLUDED,
    PLAIN,
    USER_MANAGED,
    answer_path,
    column,
    columns_of,
    facts,
)
from envy.cache.marker import Marker, encode_marker
from envy.cache.read import open_nonblocking
from envy.content.atomic import atomic_write
from envy.content.file_digest import combined_digest

_ANY_KEY = "0" * 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """One recipe of a resolved graph; `needs` are the positions of its run dependencies."""

    key: str
    alias: str
    place: str  # of its entry: `<identity>/<folder>`; "" with no entry key
    entry_key: str  # "" where it was not asked for
    user_managed: bool
    excluded: bool
    deploys: bool
    needs: Sequence[int]


def save_answer(
    root: Path,
    manifest: Path,
    evidence: Evidence,
    *,
    recipes: Sequence[Known],
    roots: Sequence[int],
    aliases: Mapping[str, int],
) -> None:
    """Keep an answer for later; what cannot be kept is not, and no harm is done."""
    columns = [
        facts(str(root), str(manifest)),
        *_of_evidence(evidence),
        [known.key for known in recipes],
        [known.alias for known in recipes],
        [known.place for known in recipes],
        [known.entry_key for known in recipes],
        [_flags(known) for known in recipes],
        [",".join(map(str, row)) for row in [*(known.needs for known in recipes), roots]],
        list(aliases),
        [str(position) for position in aliases.values()],
        _around_the_key(root),
    ]
    rows = [text for column in columns for text in [str(len(column)), *column]]
    joined = "\0".join(rows)
    if joined.count("\0") != len(rows) - 1:
        return  # a text with the separator in it
    body = joined.encode("utf-8", "surrogateescape")
    path = answer_path(str(root), str(manifest))
    with contextlib.suppress(OSError):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        atomic_write(path, blake3(body).hexdigest().encode("ascii") + body)


def basis_of(path: str) -> tuple[str, Sequence[str]]:
    """The manifest that an answer is for, and the files it rests on; nothing if it is damaged."""
    try:
        with open(path, "rb", 0, opener=open_nonblocking) as file:
            rows = columns_of(file.read())
        if rows is None:
            return "", ()
        _format, _root, manifest, *_ = column(rows)
        column(rows), column(rows)  # the variables
        return manifest, column(rows)
    except (OSError, ValueError, StopIteration):
        return "", ()


def note_use(root: Path, manifest: Path) -> None:
    """Let gc see that the answer is used, and with it the recipe files that it rests on."""
    with contextlib.suppress(OSError):
        os.utime(answer_path(str(root), str(manifest)))


def _of_evidence(evidence: Evidence) -> Iterable[list[str]]:
    yield list(evidence.variables)
    yield [combined_digest(list(evidence.variables.values()))]
    yield list(evidence.files)
    yield [combined_digest(list(evidence.files.values()))]
    yield [top for top, _pattern in evidence.globs]
    yield [pattern for _top, pattern in evidence.globs]
    yield list(evidence.globs.values())
    yield list(evidence.trees)
    yield list(evidence.trees.values())


def _flags(known: Known) -> str:
    letters = {
        USER_MANAGED: known.user_managed,
        EXCLUDED: known.excluded,
        DEPLOYS: known.deploys,
    }
    return "".join(letter for letter, holds in letters.items() if holds) or PLAIN


def _around_the_key(root: Path) -> list[str]:
    """What stands before the key in a marker made here, and what may stand after it."""
    texts = [
        encode_marker(Marker(key_hex=_ANY_KEY, root=str(root), holds_root=holds_root))
        for holds_root in (False, True)
    ]
    split = [text.decode("utf-8", "surrogateescape").split(_ANY_KEY, 1) for text in texts]
    return [split[0][0], *[rest for _before, rest in split]]
