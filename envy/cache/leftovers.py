"""Garbage collection of what the cache contains besides entries.

These are recipe files, downloads, wheels, answers, logs, and test binaries and results. The time of
the last use alone decides. Except for logs, everything here can be fetched or computed again.

Guarantees
  Nothing is removed that was used within the last day, or that a lease names.
  A recipe's files, and logs, are removed in one step, under their lock and the gate. Files that
  another command found under the gate before (see `recipes`) stay.
  A file with a name that envy does not use is not envy's, and is left alone.
"""

import contextlib
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from envy.cache.disk_usage import DiskUsage
from envy.cache.filesystem import REAL, FileSystem, explained
from envy.cache.layout import CacheLayout
from envy.cache.lease import gate, leased_names
from envy.cache.lock import FileLock
from envy.cache.names import (
    ANSWER_PATTERN,
    BEFORE_KEY,
    BUNDLES_NAME,
    DIGITS,
    DOWNLOAD_ALGORITHMS,
    DOWNLOAD_NAMES_FOLDER,
    DOWNLOAD_PATTERN,
    IDENTITY_PATTERN,
    LOGS_FOLDER,
    LOGS_PATTERN,
    NATIVE_TESTS_FOLDER,
    PARTIAL_PATTERN,
    PARTIALS_FOLDER,
    RECIPES_FOLDER,
    RECIPES_PATTERN,
    RECORD_PATTERN,
    REFUSED_FOLDER,
    TEST_BINARIES_FOLDER,
    TEST_BINARY_PATTERN,
    TEST_RECORD_FOLDERS,
    TEST_RESULT_PATTERN,
    TESTS_FOLDER,
    UNFINISHED_RECORD_PATTERN,
    short_key,
)
from envy.cache.usage import DAY
from envy.cache.wheels import last_use, unshared
from envy.content.atomic import SUFFIX
from envy.errors import CacheError

BasisOf = Callable[[str], tuple[str, Sequence[str]]]  # answer file -> manifest, files it depends on

RECIPE, ANSWER, LOGS = "recipe", "answer", "logs"
TEST_BINARY, TEST_RESULT = "test binary", "test result"
DOWNLOAD = "download"
WHEEL = "wheel"
_FILES = {ANSWER, TEST_RESULT}
_OWNER = re.compile(rf"{IDENTITY_PATTERN}|{BUNDLES_NAME}", re.ASCII)
_RECIPE_FOLDER = re.compile(RECIPES_PATTERN)
_LOGS_FOLDER = re.compile(LOGS_PATTERN)
_ANSWER = re.compile(ANSWER_PATTERN)
_DOWNLOAD = re.compile(DOWNLOAD_PATTERN)
_DOWNLOAD_NAME = re.compile(rf"{RECORD_PATTERN}|{UNFINISHED_RECORD_PATTERN}")
_PARTIAL = re.compile(PARTIAL_PATTERN)
_TEST_BINARY = re.compile(TEST_BINARY_PATTERN)
_TEST_RESULT = re.compile(TEST_RESULT_PATTERN)
_ANYTHING = re.compile(r".*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Leftover:
    """A file or folder of one kind besides the entries; `time` is when it changed."""

    kind: str
    path: str
    name: str  # path below the root; for an answer, its manifest
    size: int
    time: float
    used_at: float
    answers: tuple[str, ...] = ()  # that depend on it: using one of them uses this
    lost: bool = False  # the manifest was removed
    partial: bool = False  # an unfinished file of a dead process


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftoverDecision:
    """Whether a leftover is removed, and why; `spared`: it stays whatever the options."""

    leftover: Leftover
    remove: bool
    reason: str
    spared: bool = False


def find_leftovers(
    layout: CacheLayout, basis_of: BasisOf, usage: DiskUsage | None = None
) -> list[Leftover]:
    """Return all leftovers, the least recently used first.

    `basis_of` returns the manifest of an answer and the files that the answer depends on.

    Raises:
        CacheError: the cache cannot be read.
    """
    try:
        usage = usage or DiskUsage()
        answers, named = _answers(layout, basis_of, usage)
        found = [*answers, *_recipes(layout, named, usage), *_logs(layout, usage)]
        found += [*_tests(layout, usage), *_downloads(layout, usage), *_wheels(layout, usage)]
    except OSError as error:
        raise explained(error, doing="read the cache", path=str(layout.root)) from error
    return sorted(found, key=lambda leftover: (leftover.used_at, leftover.path))


def decide_leftovers(
    found: Iterable[Leftover], leased: set[str], *, unused_for: float, now: float
) -> list[LeftoverDecision]:
    """Return a decision for each leftover, in the given order; a pure function."""
    return [_decide(leftover, leased, unused_for=unused_for, now=now) for leftover in found]


def _decide(
    leftover: Leftover, leased: set[str], *, unused_for: float, now: float
) -> LeftoverDecision:
    idle = now - leftover.used_at
    days = f"{idle / DAY:.0f} days" if idle >= 2 * DAY else f"{idle / 3600:.0f} hours"
    decisions = [
        (leftover.name in leased, False, "a running command uses it"),
        (idle < DAY, False, "used within the last day"),
        (leftover.partial, True, f"unfinished for {days}"),
        (leftover.lost, True, "its manifest was removed"),
        (idle > unused_for, True, f"not used for {days}"),
    ]
    matching = ((remove, reason) for applies, remove, reason in decisions if applies)
    remove, reason = next(matching, (False, f"used {days} ago"))
    spared = idle < DAY or leftover.name in leased
    return LeftoverDecision(leftover=leftover, remove=remove, reason=reason, spared=spared)


def remove_leftovers(
    layout: CacheLayout, decisions: Iterable[LeftoverDecision], *, files: FileSystem = REAL
) -> tuple[list[LeftoverDecision], list[CacheError]]:
    """Carry out the decisions, except for what is in use now.

    Returns the decisions that led to a removal, and what could not be removed.
    """
    removed: list[LeftoverDecision] = []
    failed: list[CacheError] = []
    for decision in decisions:
        try:
            if decision.remove and _remove(layout, decision.leftover, files):
                removed.append(decision)
        except CacheError as error:
            failed.append(error)
    return removed, failed


def _remove(layout: CacheLayout, leftover: Leftover, files: FileSystem) -> bool:
    try:
        if leftover.kind in _FILES:
            # A concurrent reader has the file open already, or computes its content again.
            return not _changed(leftover) and files.remove(leftover.path)
        if leftover.kind in {DOWNLOAD, WHEEL}:
            if _changed(leftover):
                return False
            files.remove_tree(leftover.path)  # anything may have its name
            return True
        if leftover.kind == TEST_BINARY:
            return _remove_test_binary(layout, leftover, files)
        return _move_away(layout, leftover, files)
    except OSError as error:
        raise explained(error, doing="remove a file of the cache", path=leftover.path) from error


def _move_away(layout: CacheLayout, leftover: Leftover, files: FileSystem) -> bool:
    identity, folder = leftover.name.split("/")[1:]
    lock = FileLock(layout.lock_path(identity, folder[:DIGITS]))
    if not lock.try_acquire():
        return False
    try:
        trash = str(layout.trash_root)
        with gate(layout):
            if leftover.name in leased_names(layout) or _changed(leftover):
                return False
            files.make_dir(trash)
            target = os.path.join(trash, f"{folder}-{os.urandom(6).hex()}")
            files.rename(leftover.path, target)
        files.remove_tree(target)
    finally:
        lock.remove()
    return True


def _remove_test_binary(layout: CacheLayout, leftover: Leftover, files: FileSystem) -> bool:
    """Remove a folder with a test binary; a test run marks the folder before it uses the binary."""
    if _changed(leftover):
        return False
    trash = str(layout.trash_root)
    files.make_dir(trash)
    target = os.path.join(trash, f"{os.path.basename(leftover.path)}-{os.urandom(6).hex()}")
    files.rename(leftover.path, target)
    if _time(target) != leftover.time:
        files.rename(target, leftover.path)  # a test run found it in between
        return False
    files.remove_tree(target)
    return True


def _changed(leftover: Leftover) -> bool:
    """Return whether a leftover was used or removed since it was found."""
    try:
        time_of = {LOGS: _newest, WHEEL: last_use}.get(leftover.kind, _time)
        at = time_of(leftover.path)
        return at != leftover.time or any(
            _time(path) > leftover.used_at for path in leftover.answers
        )
    except OSError:
        return True


# -- finding leftovers --------------------------------------------------------------------------


def _answers(
    layout: CacheLayout, basis_of: BasisOf, usage: DiskUsage
) -> tuple[list[Leftover], dict[str, list[Leftover]]]:
    """Return all answers, and for each recipe folder the answers that depend on it."""
    found: list[Leftover] = []
    named: dict[str, list[Leftover]] = {}
    above = os.path.join(str(layout.recipes_root), "")
    for path in named_below(str(layout.answers_root), _ANSWER):
        with contextlib.suppress(FileNotFoundError):
            status = os.lstat(path)
            manifest, rests_on = ("", ()) if _is_partial(path) else basis_of(path)
            answer = Leftover(
                kind=ANSWER,
                path=path,
                name=manifest or os.path.relpath(path, layout.root),
                size=usage.of(status),
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


def _recipes(
    layout: CacheLayout, named: Mapping[str, Sequence[Leftover]], usage: DiskUsage
) -> Iterator[Leftover]:
    for path in _folders(str(layout.recipes_root), _RECIPE_FOLDER):
        with contextlib.suppress(FileNotFoundError):
            at = _time(path)
            below = "/".join(Path(path).parts[-2:])
            answers = named.get(below, ())
            yield Leftover(
                kind=RECIPE,
                path=path,
                name=f"{RECIPES_FOLDER}/{below}",
                size=usage.measure(path)[0],
                time=at,
                used_at=max([at, *(answer.used_at for answer in answers)]),
                answers=tuple(answer.path for answer in answers),
                partial=path.endswith(SUFFIX),
            )


def _logs(layout: CacheLayout, usage: DiskUsage) -> Iterator[Leftover]:
    """Yield the folders of logs without an entry; the logs of an entry are removed with it."""
    with_entry = set(keys_below(str(layout.assets_root)))
    for path in _folders(str(layout.logs_root), _LOGS_FOLDER):
        identity, key = Path(path).parts[-2:]
        if (identity, key) not in with_entry:
            with contextlib.suppress(FileNotFoundError):
                at = _newest(path)
                yield Leftover(
                    kind=LOGS,
                    path=path,
                    name=f"{LOGS_FOLDER}/{identity}/{key}",
                    size=usage.measure(path)[0],
                    time=at,
                    used_at=at,
                )


def _tests(layout: CacheLayout, usage: DiskUsage) -> Iterator[Leftover]:
    tests = os.path.join(layout.root, TESTS_FOLDER)
    for name in (TEST_BINARIES_FOLDER, NATIVE_TESTS_FOLDER):
        for folder in named_below(os.path.join(tests, name), _ANYTHING):
            for path in named_below(folder, _TEST_BINARY):
                yield from _by_its_time(layout, TEST_BINARY, path, usage)
    for name in TEST_RECORD_FOLDERS:
        for path in named_below(os.path.join(tests, name), _TEST_RESULT):
            yield from _by_its_time(layout, TEST_RESULT, path, usage)


def _downloads(layout: CacheLayout, usage: DiskUsage) -> Iterator[Leftover]:
    top = str(layout.downloads_root)
    kinds = [(name, _DOWNLOAD) for name in (*DOWNLOAD_ALGORITHMS, REFUSED_FOLDER)]
    kinds += [(DOWNLOAD_NAMES_FOLDER, _DOWNLOAD_NAME), (PARTIALS_FOLDER, _PARTIAL)]
    for name, pattern in kinds:
        folder = os.path.join(top, name)
        if not os.path.islink(top) and not os.path.islink(folder):
            for path in named_below(folder, pattern):
                yield from _by_its_time(layout, DOWNLOAD, path, usage)


def _wheels(layout: CacheLayout, usage: DiskUsage) -> Iterator[Leftover]:
    for path, size, at in unshared(str(layout.uv_root), usage):
        name = os.path.relpath(path, layout.root)
        yield Leftover(kind=WHEEL, path=path, name=name, size=size, time=at, used_at=at)


def _by_its_time(layout: CacheLayout, kind: str, path: str, usage: DiskUsage) -> Iterator[Leftover]:
    with contextlib.suppress(FileNotFoundError):
        at = _time(path)
        name = os.path.relpath(path, layout.root)
        size = usage.measure(path)[0]
        partial = path.endswith(SUFFIX) and kind in {DOWNLOAD, TEST_RESULT}
        yield Leftover(
            kind=kind, path=path, name=name, size=size, time=at, used_at=at, partial=partial
        )


def keys_below(top: str) -> Iterator[tuple[str, str]]:
    """Yield the identity and the key digits of each folder two levels below."""
    for path in _folders(top, _ANYTHING):
        identity, folder = Path(path).parts[-2:]
        yield identity, short_key(folder) if BEFORE_KEY in folder else folder[:DIGITS]


def _time(path: str) -> float:
    return os.lstat(path).st_mtime


def _newest(path: str) -> float:
    return max(DiskUsage().measure(path)[1], *(map(_time, _files(path))), _time(path))


def _files(top: str) -> Sequence[str]:
    return [os.path.join(above, name) for above, _, names in os.walk(top) for name in names]


def named_below(directory: str, pattern: re.Pattern[str]) -> list[str]:
    """Return the sorted paths in a folder whose names match.

    Raises:
        CacheError: the folder cannot be read.
    """
    try:
        names = sorted(filter(pattern.fullmatch, os.listdir(directory)))
        return [os.path.join(directory, name) for name in names]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise explained(error, doing="read the cache", path=directory) from error


def _folders(top: str, pattern: re.Pattern[str]) -> Iterator[str]:
    """Yield the folders with matching names below those of identities; links are not followed."""
    for above in named_below(top, _OWNER):
        if not os.path.islink(above):
            for path in named_below(above, pattern):
                if os.path.isdir(path) and not os.path.islink(path):
                    yield path
