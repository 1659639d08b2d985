"""Answers of earlier runs: what a manifest resolved to, so that a warm command needs no Lua.

One file below `resolved/` for each manifest. It says what it rests on (envy.evidence), and counts
only while all of that holds and the markers it names are there; then it is what a full run would
say. Anything else, and there is no answer.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from blake3 import blake3

from envy import __version__
from envy.cache.layout import CacheLayout, EntryPaths
from envy.cache.read import at_once, deploy_recorded, lookup
from envy.evidence import Evidence, still_holds
from envy.platform import Platform

FORMAT = 1
_MANIFEST = 2  # where in `host` its path stands


@dataclass(frozen=True, slots=True)
class Known:
    """One recipe of a resolved graph; `needs` are the positions of its run dependencies."""

    key: str
    alias: str
    location: str  # of its entry, below the root
    entry_key: str  # "" where it was not asked for
    user_managed: bool
    excluded: bool
    deploys: bool
    needs: Sequence[int]


@dataclass(frozen=True, slots=True)
class Answer:
    """A resolved graph: its recipes, which of them are roots, and the manifest's aliases."""

    recipes: Sequence[Known]
    roots: Sequence[int]
    aliases: Mapping[str, int]


def answer_path(root: Path, manifest: Path) -> Path:
    """Where the answer for a manifest is kept."""
    name = blake3(os.fsencode(manifest)).hexdigest()[:16]
    return CacheLayout(root).answers_root / f"{name}.json"


def load_answer(
    root: Path, manifest: Path, *, platform: Platform, environment: Mapping[str, str]
) -> Answer | None:
    """The answer for a manifest, if there is one and everything it rests on is as it was."""
    try:
        with open(answer_path(root, manifest), "rb", opener=at_once) as file:
            record = json.load(file)
        if record["host"] != _host(manifest, platform):
            return None
        evidence = Evidence(
            files=record["files"],
            trees=record["trees"],
            globs=[(top, pattern, names) for top, pattern, names in record["globs"]],
            variables=record["variables"],
        )
        if not still_holds(evidence, environment):
            return None
        return Answer(
            recipes=[Known(*row) for row in record["recipes"]],
            roots=record["roots"],
            aliases=record["aliases"],
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        # Missing, damaged or of another version: all the same, the full way decides.
        return None


def basis_of(path: str) -> tuple[str, Sequence[str]]:
    """The manifest that an answer is for, and the files it rests on; nothing if it is damaged."""
    try:
        with open(path, "rb", opener=at_once) as file:
            record = json.load(file)
        return str(record["host"][_MANIFEST]), list(map(str, record["files"]))
    except (OSError, ValueError, KeyError, TypeError, IndexError):
        return "", ()


def note_use(root: Path, manifest: Path) -> None:
    """Let gc see that the answer is used, and with it the recipe files that it rests on."""
    with contextlib.suppress(OSError):
        os.utime(answer_path(root, manifest))


def save_answer(
    root: Path, manifest: Path, answer: Answer, evidence: Evidence, *, platform: Platform
) -> None:
    """Keep an answer for later; what cannot be kept is not, and no harm is done."""
    path = answer_path(root, manifest)
    making = path.with_name(f"{path.name}.{os.getpid()}")
    record = {
        "host": _host(manifest, platform),
        "files": evidence.files,
        "trees": evidence.trees,
        "globs": evidence.globs,
        "variables": evidence.variables,
        "recipes": [
            [
                one.key,
                one.alias,
                one.location,
                one.entry_key,
                one.user_managed,
                one.excluded,
                one.deploys,
                one.needs,
            ]
            for one in answer.recipes
        ],
        "roots": list(answer.roots),
        "aliases": dict(answer.aliases),
    }
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        making.write_text(json.dumps(record, separators=(",", ":")), encoding="utf-8")
        making.replace(path)
    except (OSError, ValueError):
        with contextlib.suppress(OSError):
            making.unlink()


def closure_is_there(answer: Answer, goals: Iterable[int], root: Path) -> list[Known] | None:
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
        known = answer.recipes[position]
        if known.user_managed or known.excluded or not known.entry_key:
            return None
        entry = EntryPaths(str(root), str(root) + known.location)
        if not lookup(entry, known.entry_key, explain=False).hit:
            return None
        if known.deploys and not deploy_recorded(entry):
            return None
        pending += known.needs
    return [answer.recipes[position] for position in sorted(seen)]


def _host(manifest: Path, platform: Platform) -> list[object]:
    return [
        FORMAT,
        __version__,
        str(manifest),
        platform.os,
        platform.arch,
        platform.os_version,
        platform.libc,
        platform.libc_version,
    ]
