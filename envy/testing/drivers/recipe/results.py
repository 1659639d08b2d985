"""What the results of recipe tests rest on: files that they and their recipes read, and envy.

The world of a test has no variables but PATH and those that the test sets. What programs read that
a recipe really runs is not known.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import envy
from envy.testing.basis import Basis, Collector, walked
from envy.testing.consulted import Unkept
from envy.testing.evidence import FILE, FOLDER, LISTING, VARIABLE, Fact, digest_of
from envy.testing.key_text import Parts
from envy.testing.package import PackageRun, RunSettings
from envy.testing.pattern_folders import add_pattern
from envy.testing.result_keys import parts_of_run, result_key
from envy.testing.shared.evidence import content_of
from envy.testing.shared.places import NamedPlaces, SharedKey

_VERSION = "recipe-result-2"
MOST_FILES = 5_000  # that one result rests on
# PATH, and what raises the limits of the Lua code.
COUNTING = ("ENVY_LIMITS", "PATH")
_OF_ENVY = (".py", ".lua", ".json", ".txt", ".sh")


def key_of(
    run: PackageRun, settings: RunSettings, environment: Mapping[str, str], *, count: int
) -> str:
    """Return the key of what is known before the tests of a file run."""
    parts = _parts_of(run, settings, environment, count=count)
    return result_key({**parts, "envy": _identity_of_envy()})


def shared_key_of(
    run: PackageRun,
    path: Path,
    settings: RunSettings,
    environment: Mapping[str, str],
    places: NamedPlaces,
    *,
    count: int,
) -> SharedKey:
    """Return the same for any machine; `path` is the file of tests."""
    places = places.having({"<envy>": str(Path(envy.__file__).parent)})
    contents = [f"{name} {content_of(name)}" for name in _files_of_envy()]
    parts = _parts_of(run, settings, environment, count=count)
    parts = {**parts, "file": content_of(str(path)), "envy": contents}
    return places.key(parts, toolchain=f"envy {envy.__version__}")


def _parts_of(
    run: PackageRun, settings: RunSettings, environment: Mapping[str, str], *, count: int
) -> Parts:
    return {
        **parts_of_run(run, settings, count=count),
        "version": _VERSION,
        "variables": [f"{name}={environment.get(name, '')}" for name in COUNTING],
    }


@functools.cache
def _files_of_envy() -> tuple[str, ...]:
    """Return the files that envy consists of."""
    top = str(Path(envy.__file__).parent)
    found = []
    for folder, _folders, names in os.walk(top):
        if not folder.startswith(f"{top}/shipped_recipes"):  # these count where they are used
            found += [f"{folder}/{name}" for name in names if name.endswith(_OF_ENVY)]
    return tuple(sorted(found))


@functools.cache
def _identity_of_envy() -> str:
    rows = []
    for path in _files_of_envy():
        status = os.stat(path)  # noqa: PTH116
        rows.append(f"{path} {status.st_size} {status.st_mtime_ns}")
    return digest_of("\n".join(rows).encode("utf-8", "surrogateescape"))


def facts_of(paths: Iterable[str], trees: Iterable[str], *, since: int) -> list[Fact]:
    """Return the rows of the files and folders that tests and recipes have read.

    `trees` are folders with all that is in them.

    Raises:
        Unkept: there are too many, or one changed during the run.
    """
    rows = Collector({}, since)
    for path in sorted({*paths, *trees}):
        rows.add(FOLDER if os.path.isdir(path) else FILE, path)  # noqa: PTH112
    for top in sorted(trees):
        for folder, names in walked(top, hidden=True) if os.path.isdir(top) else ():  # noqa: PTH112
            rows.add(LISTING, folder)
            for name in names:
                rows.add(FILE, f"{folder}/{name}")
            if len(rows.facts) > MOST_FILES:
                raise Unkept(f"it rests on more than {MOST_FILES} files")
    return rows.facts


def basis_of(
    root: Path,
    patterns: Sequence[str],
    environment: Mapping[str, str],
    *,
    since: int,
) -> Basis:
    """Return what every run rests on: variables, envy itself, and the folders searched."""
    rows = Collector(environment, since)
    try:
        for name in COUNTING:
            rows.add(VARIABLE, name)
        for path in _files_of_envy():
            rows.add(FILE, path)
        rows.add(FILE, str(root / "envy.lua"))  # whose recipes are tested, too
        for folder in (root, *root.parents):
            for name in ("go.mod", "go.work"):  # with these, a pattern may be one of Go, too
                rows.add(FILE, str(folder / name))
        for pattern in patterns:
            add_pattern(rows, root, pattern)
    except Unkept as error:
        return Basis(unkept=str(error))
    return Basis(facts=rows.facts)
