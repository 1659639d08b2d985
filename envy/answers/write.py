"""Storing answers: what a manifest resolved to, so that a warm command needs no Lua.

`answers.read` reads the files that are written here, and decides whether they still hold.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from blake3 import blake3

from envy.answers.evidence import Evidence
from envy.answers.products import StoredProduct
from envy.answers.read import (
    DEPLOYS,
    EXCLUDED,
    HAS_SHIMS,
    LAUNCHERS,
    PLAIN,
    UNPINNED,
    USED,
    USER_MANAGED,
    answer_path,
    column,
    columns_of,
    preconditions,
)
from envy.cache.marker import Marker, encode_marker
from envy.content.atomic import atomic_write
from envy.content.file_digest import combined_digest
from envy.content.plain_file import read_plain
from envy.limits import CACHE_FILE

_ANY_KEY = "0" * 64


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRecipe:
    """One recipe of a resolved graph; `needs` holds the positions of its run dependencies."""

    key: str
    alias: str
    entry_name: str  # `<identity>/<folder>`; "" without an entry key
    entry_key: str  # "" where no key was computed
    user_managed: bool
    excluded: bool
    deploys: bool
    has_shims: bool
    distance: int | None  # from the manifest; None for a package that is not used in the project
    needs: Sequence[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredUse:
    """What programs of the project run with; the folders of each variable are one text."""

    variables: Mapping[str, str]
    folders: Mapping[str, str]
    products: Sequence[StoredProduct]
    dotenv: str = ""


def save_answer(
    root: Path,
    manifest: Path,
    evidence: Evidence,
    *,
    recipes: Sequence[StoredRecipe],
    roots: Sequence[int],
    aliases: Mapping[str, int],
    use: StoredUse | None = None,
    has_launchers: bool = False,
) -> None:
    """Store an answer for later commands; an answer that cannot be written is not stored."""
    columns = [
        preconditions(str(root), str(manifest)),
        *_evidence_columns(evidence),
        [text for told in evidence.host.values() for text in told.columns()],
        [
            *([UNPINNED] if evidence.unpinned else []),
            *([USED] if use else []),
            *([LAUNCHERS] if has_launchers else []),
        ],
        [recipe.key for recipe in recipes],
        [recipe.alias for recipe in recipes],
        [recipe.entry_name for recipe in recipes],
        [recipe.entry_key for recipe in recipes],
        [_flags(recipe) for recipe in recipes],
        ["" if recipe.distance is None else str(recipe.distance) for recipe in recipes],
        [",".join(map(str, row)) for row in [*(recipe.needs for recipe in recipes), roots]],
        list(aliases),
        [str(position) for position in aliases.values()],
        _marker_parts(root),
        *(_use_columns(use) if use else [[], [], [], []]),
    ]
    rows = [text for column in columns for text in [str(len(column)), *column]]
    joined = "\0".join(rows)
    if joined.count("\0") != len(rows) - 1:
        return  # a text contains the separator
    body = joined.encode("utf-8", "surrogateescape")
    path = answer_path(str(root), str(manifest))
    with contextlib.suppress(OSError):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        atomic_write(path, blake3(body).hexdigest().encode("ascii") + body)


def basis_of(path: str) -> tuple[str, Sequence[str]]:
    """Return the manifest of an answer and the files in its evidence; ("", ()) if it is damaged."""
    try:
        rows = columns_of(read_plain(path, CACHE_FILE))
        if rows is None:
            return "", ()
        _format, _root, manifest, *_ = column(rows)
        column(rows), column(rows)  # names and digest of the variables
        return manifest, column(rows)
    except (OSError, ValueError, StopIteration):
        return "", ()


def mark_as_used(root: Path, manifest: Path) -> None:
    """Update the answer's timestamp, so that gc keeps it and the recipe files in its evidence."""
    with contextlib.suppress(OSError):
        os.utime(answer_path(str(root), str(manifest)))


def _evidence_columns(evidence: Evidence) -> Iterable[list[str]]:
    yield list(evidence.variables)
    yield [combined_digest(list(evidence.variables.values()))]
    yield list(evidence.files)
    yield [combined_digest(list(evidence.files.values()))]
    yield [top for top, _pattern in evidence.globs]
    yield [pattern for _top, pattern in evidence.globs]
    yield list(evidence.globs.values())
    yield [path for path, _rules in evidence.trees]
    yield [rules for _path, rules in evidence.trees]
    yield list(evidence.trees.values())


def _use_columns(use: StoredUse) -> Iterable[list[str]]:
    yield [text for pair in use.variables.items() for text in pair]
    yield [text for pair in use.folders.items() for text in pair]
    yield [text for product in use.products for text in product.columns()]
    yield [use.dotenv] if use.dotenv else []


def _flags(recipe: StoredRecipe) -> str:
    letters = {
        USER_MANAGED: recipe.user_managed,
        EXCLUDED: recipe.excluded,
        DEPLOYS: recipe.deploys,
        HAS_SHIMS: recipe.has_shims,
    }
    return "".join(letter for letter, holds in letters.items() if holds) or PLAIN


def _marker_parts(root: Path) -> list[str]:
    """Return a marker's text before the key, then the possible texts after the key."""
    texts = [
        encode_marker(Marker(key_hex=_ANY_KEY, root=str(root), holds_root=holds_root))
        for holds_root in (False, True)
    ]
    split = [text.decode("utf-8", "surrogateescape").split(_ANY_KEY, 1) for text in texts]
    return [split[0][0], *[rest for _before, rest in split]]
