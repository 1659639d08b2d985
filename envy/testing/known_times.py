"""Files of durations: what `--save-durations` writes and `--durations` reads.

Guarantees
  What is read does not depend on the order of the files.
  A file is replaced as a whole, or not at all.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from blake3 import blake3

from envy.content.atomic import atomic_write
from envy.content.json_text import parse_json
from envy.content.plain_file import read_plain
from envy.errors import UsageError
from envy.limits import TEST_RESULT
from envy.testing.results import Recorder

FORMAT = "envy-durations-1"
_LONGEST = 1e7  # seconds; more is damage, not a duration

Place = tuple[str, str]  # a package and a top-level test; "" for tests that are not known before


@dataclass(frozen=True, slots=True)
class KnownTimes:
    """The duration of each test, in seconds; `digest` tells them from others in a line of text."""

    seconds: Mapping[Place, float] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """Eight digits that are the same wherever the durations are."""
        return blake3(_text(self.seconds).encode("utf-8", "surrogateescape")).hexdigest()[:8]


def read_times(paths: Iterable[Path]) -> KnownTimes:
    """Return the durations in files; a test that is in several of them has the longest.

    Raises:
        UsageError: A file cannot be read, or is not one of durations.
    """
    found: dict[Place, float] = {}
    for path in paths:
        for place, seconds in _read(path).items():
            found[place] = max(seconds, found.get(place, 0.0))
    return KnownTimes(found)


def _read(path: Path) -> dict[Place, float]:
    try:
        top = parse_json(read_plain(str(path), TEST_RESULT))
        if top["format"] != FORMAT:
            raise ValueError(top["format"])
        return {
            (package, test): _checked(seconds)
            for package, tests in top["packages"].items()
            for test, seconds in tests.items()
        }
    except OSError as error:
        raise UsageError(
            f"cannot read durations from {path}: {error.strerror or error}",
            hint=f"write the file with --save-durations {path}, for instance in a run of all tests",
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(
            f"{path} has no durations that envy wrote",
            hint="such a file is written by `envy test --save-durations FILE`",
        ) from error


def _checked(seconds: Any) -> float:
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise TypeError(seconds)
    if not 0 <= seconds < _LONGEST:
        raise ValueError(seconds)
    return float(seconds)


def check_times(path: Path) -> None:
    """Check before a run that its durations can be written at its end.

    Raises:
        UsageError: The file is another one, or its folder is missing or cannot be written.
    """
    if path.exists():
        _read(path)
    folder = path.parent
    if not folder.is_dir():
        raise UsageError(f"cannot write {path}: there is no folder {folder}")
    if not os.access(folder, os.W_OK):
        raise UsageError(f"cannot write {path}: the folder is read-only")


def save_times(
    path: Path,
    recorder: Recorder,
    *,
    present: Mapping[str, Collection[str] | None],
    unlisted: Collection[str],
    is_all: bool,
    places: Mapping[str, str] | None = None,
) -> None:
    """Add the durations of a run to a file; tests that did not pass in it keep theirs.

    `present` are the tests that a package has, None if they are not known, and `unlisted` the
    packages whose tests no run can select. With `is_all`, there are no other packages. `places` are
    the names that packages have on every machine.

    Raises:
        UsageError: The file is another one, or cannot be written.
    """
    places = places or {}
    present = {places.get(name, name): tests for name, tests in present.items()}
    found = _read(path) if path.exists() else {}
    for place in list(found):
        package, test = place
        tests = present.get(package)
        if (is_all and package not in present) or (tests is not None and test not in tests):
            del found[place]
    for tally in recorder.packages.values():
        name = places.get(tally.name, tally.name)
        if tally.name in unlisted:
            if tally.outcome == "pass":
                found[name, ""] = tally.seconds
            continue
        for test, seconds in tally.elapsed.items():
            if "/" not in test and tally.tests.get(test) in {"pass", "skip"}:
                found[name, test] = seconds
    try:
        atomic_write(str(path), _text(found).encode("utf-8", "surrogateescape"))
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror or error}") from error


def _text(seconds: Mapping[Place, float]) -> str:
    packages: dict[str, dict[str, float]] = {}
    for package, test in sorted(seconds):
        packages.setdefault(package, {})[test] = round(seconds[package, test], 3)
    return json.dumps({"format": FORMAT, "packages": packages}, indent=1) + "\n"
