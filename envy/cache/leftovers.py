"""What grows in the cache beside its entries, and how it is kept small.

Recipe files, answers and logs go by the time of their last use. All of them can be had again, but
for logs; so nothing else is asked. What is empty, or was left half-written by a process that died,
goes without a word.

Guarantees
  Nothing goes that was used within a day, or that a lease names.
  A recipe's files, and logs, go in one step, under their lock and the gate; what was found under
  the gate before (envy.cache.recipes) stays.
  A lock file goes while its lock is held, and only by `FileLock.remove`.
  What has a name that envy never gives is not envy's, and is let alone.
"""

import contextlib
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from envy.cache.filesystem import REAL, FileSystem, explained
from envy.cache.inventory import IDENTITY, measure_tree
from envy.cache.layout import CacheLayout
from envy.cache.lease import gate, leased_names
from envy.cache.lock import FileLock
from envy.cache.names import (
    ANSWER_PATTERN,
    BEFORE_KEY,
    DIGITS,
    EXCLUSIVE_FOLDER,
    EXCLUSIVE_LOCK_PATTERN,
    LOCK_PATTERN,
    LOGS_FOLDER,
    LOGS_PATTERN,
    PROJECT_PATTERN,
    RECIPES_FOLDER,
    RECIPES_PATTERN,
    UNFINISHED_RECORD_PATTERN,
    lock_file,
    short_key,
)
from envy.cache.usage import DAY
from envy.content.atomic import SUFFIX
from envy.errors import CacheError

BasisOf = Callable[[str], tuple[str, Sequence[str]]]  # of an answer file: manifest and files

RECIPE, ANSWER, LOGS = "recipe", "answer", "logs"
_RECIPE_FOLDER = re.compile(RECIPES_PATTERN)
_LOGS_FOLDER = re.compile(LOGS_PATTERN)
_ANSWER = re.compile(ANSWER_PATTERN)
_HALF_RECORD = re.compile(UNFINISHED_RECORD_PATTERN)
_ANYTHING = re.compile(r".*")
_PROJECT = re.compile(PROJECT_PATTERN)
_LOCK = re.compile(LOCK_PATTERN, re.ASCII)
_EXCLUSIVE = re.compile(EXCLUSIVE_LOCK_PATTERN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Leftover:
    """One of them, as it was found; `time` is that of its change, `used_at` when it was of use."""

    kind: str
    path: str
    name: str  # below the root; of an answer, the manifest it is for
    size: int
    time: float
    used_at: float
    answers: tuple[str, ...] = ()  # those that rest on it: they are used, and not it
    lost: bool = False  # the manifest is gone
    partial: bool = False  # never completed


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftoverDecision:
    """Whether it goes, and why."""

    leftover: Leftover
    remove: bool
    reason: str


def find_leftovers(layout: CacheLayout, basis_of: BasisOf) -> list[Leftover]:
    """Everything of that sort, the oldest use first; `basis_of` says what an answer rests on.

    Raises:
        CacheError: the cache cannot be read.
    """
    try:
        answers, named = _answers(layout, basis_of)
        found = [*answers, *_recipes(layout, named), *_logs(layout)]
    except OSError as error:
        raise explained(error, doing="read the cache", path=str(layout.root)) from error
    return sorted(found, key=lambda one: (one.used_at, one.path))


def decide_leftovers(
    found: Iterable[Leftover], leased: set[str], *, unused_for: float, now: float
) -> list[LeftoverDecision]:
    """What goes, in the order given; a pure function."""
    return [_decide(one, leased, unused_for=unused_for, now=now) for one in found]


def _decide(one: Leftover, leased: set[str], *, unused_for: float, now: float) -> LeftoverDecision:
    idle = now - one.used_at
    days = f"{idle / DAY:.0f} days" if idle >= 2 * DAY else f"{idle / 3600:.0f} hours"
    decisions = [
        (one.name in leased, False, "a command that runs relies upon it"),
        (idle < DAY, False, "used within a day"),
        (one.partial, True, f"never completed, {days} ago"),
        (one.lost, True, "its manifest is gone"),
        (idle > unused_for, True, f"not used for {days}"),
    ]
    matching = ((remove, reason) for applies, remove, reason in decisions if applies)
    remove, reason = next(matching, (False, f"used {days} ago"))
    return LeftoverDecision(leftover=one, remove=remove, reason=reason)


def remove_leftovers(
    layout: CacheLayout, decisions: Iterable[LeftoverDecision], *, files: FileSystem = REAL
) -> list[LeftoverDecision]:
    """Remove what goes; returns what has gone. What is in use after all stays.

    Raises:
        CacheError: something cannot be removed.
    """
    return [
        decision
        for decision in decisions
        if decision.remove and _remove(layout, decision.leftover, files)
    ]


def _remove(layout: CacheLayout, one: Leftover, files: FileSystem) -> bool:
    try:
        if one.kind == ANSWER:
            # Whoever reads it has it open, or finds none and goes the full way.
            return not _changed(one) and files.remove(one.path)
        return _move_away(layout, one, files)
    except OSError as error:
        raise explained(error, doing="remove a file of the cache", path=one.path) from error


def _move_away(layout: CacheLayout, one: Leftover, files: FileSystem) -> bool:
    identity, folder = one.name.split("/")[1:]
    lock = FileLock(layout.lock_path(identity, folder[:DIGITS]))
    if not lock.try_acquire():
        return False
    try:
        trash = str(layout.trash_root)
        with gate(layout):
            if one.name in leased_names(layout) or _changed(one):
                return False
            files.make_dir(trash)
            target = os.path.join(trash, f"{folder}-{os.urandom(6).hex()}")
            files.rename(one.path, target)
        files.remove_tree(target)
    finally:
        lock.remove()
    return True


def _changed(one: Leftover) -> bool:
    """Whether it was used, or removed, since it was found."""
    try:
        at = _newest(one.path) if one.kind == LOGS else _time(one.path)
        return at != one.time or any(_time(path) > one.used_at for path in one.answers)
    except OSError:
        return True


# -- what is there ------------------------------------------------------------------------------


def _answers(
    layout: CacheLayout, basis_of: BasisOf
) -> tuple[list[Leftover], dict[str, list[Leftover]]]:
    """The answers, and for each recipe folder those that rest on it."""
    found: list[Leftover] = []
    named: dict[str, list[Leftover]] = {}
    above = os.path.join(str(layout.recipes_root), "")
    for path in _below(str(layout.answers_root), _ANSWER):
        with contextlib.suppress(FileNotFoundError):
            status = os.lstat(path)
            manifest, rests_on = ("", ()) if _is_partial(path) else basis_of(path)
            answer = Leftover(
                kind=ANSWER,
                path=path,
                name=manifest or os.path.relpath(path, layout.root),
                size=status.st_size,
                time=status.st_mtime,
                used_at=status.st_mtime,
                lost=bool(manifest) and not os.path.exists(manifest),
                partial=_is_partial(path),
            )
            found.append(answer)
            inside = (Path(file).relative_to(above) for file in rests_on if file.startswith(above))
            for folder in {"/".join(file.parts[:2]) for file in inside}:
                named.setdefault(folder, []).append(answer)
    return found, named


def _is_partial(path: str) -> bool:
    return path.endswith(SUFFIX) or path.rpartition(".")[2].isdigit()


def _recipes(layout: CacheLayout, named: Mapping[str, Sequence[Leftover]]) -> Iterator[Leftover]:
    for path in _folders(str(layout.recipes_root), _RECIPE_FOLDER):
        with contextlib.suppress(FileNotFoundError):
            at = _time(path)
            below = "/".join(Path(path).parts[-2:])
            answers = named.get(below, ())
            yield Leftover(
                kind=RECIPE,
                path=path,
                name=f"{RECIPES_FOLDER}/{below}",
                size=measure_tree(path)[0],
                time=at,
                used_at=max([at, *(answer.used_at for answer in answers)]),
                answers=tuple(answer.path for answer in answers),
                partial=path.endswith(SUFFIX),
            )


def _logs(layout: CacheLayout) -> Iterator[Leftover]:
    """Those that no entry has: its own go with it."""
    with_entry = set(_keys(str(layout.assets_root)))
    for path in _folders(str(layout.logs_root), _LOGS_FOLDER):
        identity, key = Path(path).parts[-2:]
        if (identity, key) not in with_entry:
            with contextlib.suppress(FileNotFoundError):
                at = _newest(path)
                yield Leftover(
                    kind=LOGS,
                    path=path,
                    name=f"{LOGS_FOLDER}/{identity}/{key}",
                    size=measure_tree(path)[0],
                    time=at,
                    used_at=at,
                )


def _keys(top: str) -> Iterator[tuple[str, str]]:
    """The identity and the digits of everything two levels below."""
    for path in _folders(top, _ANYTHING):
        identity, folder = Path(path).parts[-2:]
        yield identity, short_key(folder) if BEFORE_KEY in folder else folder[:DIGITS]


def _time(path: str) -> float:
    return os.lstat(path).st_mtime


def _newest(path: str) -> float:
    return max(measure_tree(path)[1], *(map(_time, _files(path))), _time(path))


def _files(top: str) -> Sequence[str]:
    return [os.path.join(above, name) for above, _, names in os.walk(top) for name in names]


def _below(directory: str, pattern: re.Pattern[str]) -> list[str]:
    try:
        names = sorted(filter(pattern.fullmatch, os.listdir(directory)))
        return [os.path.join(directory, name) for name in names]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise explained(error, doing="read the cache", path=directory) from error


def _folders(top: str, pattern: re.Pattern[str]) -> Iterator[str]:
    """The folders of such a name below those of identities; links are not followed."""
    for above in _below(top, IDENTITY):
        if not os.path.islink(above):
            for path in _below(above, pattern):
                if os.path.isdir(path) and not os.path.islink(path):
                    yield path


# -- what nobody misses -------------------------------------------------------------------------


def tidy(layout: CacheLayout, *, now: float) -> int:
    """Remove lock files without anything to lock, and what is empty; returns how many locks went.

    Each of them was left alone for a day. What cannot be removed stays.

    Raises:
        CacheError: the cache cannot be read.
    """
    with contextlib.suppress(OSError, CacheError):
        _tidy_projects(layout, now=now)
    kept = {
        *_keys(str(layout.assets_root)),
        *_keys(str(layout.recipes_root)),
    }
    names = {lock_file(identity, key) for identity, key in kept}
    removed = 0
    exclusive = layout.locks_root / EXCLUSIVE_FOLDER
    for folder, pattern in ((layout.locks_root, _LOCK), (exclusive, _EXCLUSIVE)):
        for path in _below(str(folder), pattern):
            if os.path.basename(path) not in names:
                with contextlib.suppress(OSError, CacheError):
                    removed += _remove_lock(path, now=now)
    return removed


def _remove_lock(path: str, *, now: float) -> bool:
    # Taking a lock, and letting it go, write to its file.
    if now - _time(path) < DAY:
        return False
    lock = FileLock(path)
    if not lock.try_acquire():
        return False
    lock.remove()
    return True


def _tidy_projects(layout: CacheLayout, *, now: float) -> None:
    for folder in _below(str(layout.projects_root), _PROJECT):
        for path in _below(folder, _HALF_RECORD):
            if now - _time(path) > DAY:
                os.unlink(path)
        with contextlib.suppress(OSError):
            os.rmdir(folder)  # only if it is empty
