"""The durations of packages in earlier runs, which decide the schedule of later runs.

There is one small file for each project, below `durations/`. Durations are only estimates, so they
never cause a failure: a file that is missing, damaged or of another version is ignored, as is a
failure to write one.

Guarantees
  A file exists as a whole, or not at all. If two runs end at the same time, the measurements of one
  may be lost.
  A file has a few rows for each package of the project's graph, and a bounded number of others. The
  number of files is bounded.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from blake3 import blake3

from envy.cache.names import DIGITS, RECORD
from envy.content.atomic import atomic_write
from envy.content.json_text import parse_json
from envy.content.plain_file import read_plain
from envy.limits import CACHE_FILE

FORMAT = 1
WEIGHT = 0.5  # of the new measurement, against all former ones
KEYS_KEPT = 3  # for each package: its key may alternate between branches
OTHERS_KEPT = 500  # packages that are no longer in the graph
PROJECTS_KEPT = 200
_LONGEST = 1e7  # seconds; a longer duration is damage, not a measurement

Seconds = Sequence[float]  # one number for each phase from fetch on; missing ones are 0


@dataclass(frozen=True, slots=True)
class Measured:
    """The measurement of one package in one run."""

    package: str  # the canonical key
    entry_key: str
    seconds: Seconds


class Durations:
    """The durations of one project; without a path, they are not stored.

    The file is read at the first call.
    """

    def __init__(self, path: str | None = None) -> None:
        self._path = path
        # For each package, newest first: digits of the entry key, number of the run, seconds.
        self._rows: dict[str, Any] | None = None
        self._run = 0
        self._by_identity: dict[str, str] | None = None

    def recall(self, package: str, entry_key: str) -> Seconds | None:
        """Return how long the package will probably take; None if there is no basis.

        The basis is the entry key, else the package's last key, else the last variant of the
        package with other options.
        """
        rows = self._read()
        found = self._valid(package)
        if not found and rows:
            identity = package.partition("{")[0]
            found = self._valid(self._variants(rows).get(identity, ""))
        if not found:
            return None
        same = [seconds for digits, _, seconds in found if digits == entry_key[:DIGITS]]
        seconds: Seconds = (same or [found[0][2]])[0]
        return seconds

    def learn(self, measured: Iterable[Measured], packages: Iterable[str]) -> None:
        """Store the measurements of a run; `packages` are all packages of its graph."""
        self._read()
        assert self._rows is not None
        self._run += 1
        for measurement in measured:
            self._add(measurement)
        self._by_identity = None
        self._forget(set(packages))
        if self._path is not None:
            with contextlib.suppress(OSError):
                _write(self._path, {"format": FORMAT, "run": self._run, "rows": self._rows})

    # -- rows ------------------------------------------------------------------------------------

    def _read(self) -> dict[str, Any]:
        if self._rows is None:
            self._rows, self._run = {}, 0
            if self._path is not None:
                self._rows, self._run = _load(self._path)
        return self._rows

    def _valid(self, package: str) -> list[Any]:
        """Return the rows of a package, without damaged ones."""
        assert self._rows is not None
        rows = self._rows.get(package)
        return [row for row in rows if _is_row(row)] if isinstance(rows, list) else []

    def _variants(self, rows: Mapping[str, Any]) -> dict[str, str]:
        """Return the last measured package of each identity."""
        if self._by_identity is None:
            self._by_identity = {package.partition("{")[0]: package for package in rows}
        return self._by_identity

    def _add(self, measurement: Measured) -> None:
        assert self._rows is not None
        digits = measurement.entry_key[:DIGITS]
        rows = self._valid(measurement.package)
        before = next((row[2] for row in rows if row[0] == digits), None)
        seconds = measurement.seconds if before is None else _mixed(before, measurement.seconds)
        short = [round(second, 3) for second in seconds]
        while short and not short[-1]:
            short.pop()
        others = [row for row in rows if row[0] != digits]
        self._rows.pop(measurement.package, None)  # to the end: rows are in order of measurement
        self._rows[measurement.package] = [[digits, self._run, short], *others[: KEYS_KEPT - 1]]

    def _forget(self, packages: set[str]) -> None:
        assert self._rows is not None
        others = [package for package in self._rows if package not in packages]
        for package in others[: max(0, len(others) - OTHERS_KEPT)]:
            del self._rows[package]


def durations_path(folder: str, project: str) -> str:
    """Return the path of a project's file in the folder of durations."""
    name = blake3(project.encode("utf-8", "surrogateescape")).hexdigest()[:DIGITS]
    return os.path.join(folder, f"{name}{RECORD}")


def _is_row(row: object) -> bool:
    match row:
        case [str(), int(), list() as seconds]:
            return all(
                isinstance(second, int | float) and 0 <= second < _LONGEST for second in seconds
            )
    return False


def _mixed(before: Seconds, now: Seconds) -> list[float]:
    """Return the weighted mean; an old measurement counts less with each run."""
    length = max(len(before), len(now))
    old = [*before, *[0.0] * (length - len(before))]
    new = [*now, *[0.0] * (length - len(now))]
    return [WEIGHT * b + (1 - WEIGHT) * a for a, b in zip(old, new, strict=True)]


def _load(path: str) -> tuple[dict[str, Any], int]:
    try:
        record = parse_json(read_plain(path, CACHE_FILE))
        if record["format"] == FORMAT and isinstance(record["rows"], dict):
            return record["rows"], int(record["run"])
    except (OSError, ValueError, TypeError, KeyError):
        pass
    return {}, 0


def _write(path: str, record: object) -> None:
    folder = os.path.dirname(path)
    os.makedirs(folder, exist_ok=True)
    # In one piece: json.dump would use the slow encoder.
    atomic_write(path, json.dumps(record, separators=(",", ":")).encode("ascii"))
    _remove_oldest(folder)


def _remove_oldest(folder: str) -> None:
    """Keep the files of the most recent projects; unfinished files age and go like others."""
    names = os.listdir(folder)
    if len(names) <= PROJECTS_KEPT:
        return
    ages = []
    for name in names:
        path = os.path.join(folder, name)
        with contextlib.suppress(FileNotFoundError):
            ages.append((os.stat(path).st_mtime, path))
    for _, path in sorted(ages)[: len(ages) - PROJECTS_KEPT]:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
