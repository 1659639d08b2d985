"""Unpacking fetched files: archives, wheels, trees and single files."""

from __future__ import annotations

import time
from pathlib import Path

from envy.content import file_operations
from envy.declarations.sources import Scheme, SourceItem, scheme_of
from envy.errors import ArchiveError
from envy.execution.phase_run import PhaseRun
from envy.execution.recipe_events import RecipeEvents

_SINGLE_SUFFIXES = (".gz", ".xz", ".zst", ".bz2")


def unpack_all(run: PhaseRun, dest: Path, *, strip: int) -> int:
    """Extract every fetched archive and copy other files; return the number of files."""
    return sum(
        _unpack_item(run, name, item, dest, strip=strip)
        for name, item in run.recipe.work.fetched.items()
    )


def unpack_one(run: PhaseRun, archive: Path, dest: Path, *, strip: int) -> int:
    """Extract one archive of any supported format; return the number of files."""
    return _extract(run, archive, dest, strip=strip, subdir="")


def _unpack_item(run: PhaseRun, name: str, item: SourceItem, dest: Path, *, strip: int) -> int:
    from envy.content.archive import is_archive, is_single_compressed_file

    entry = run.recipe.placement.entry
    path = entry.fetch_dir / name
    dest = dest / item.into if item.into else dest
    if path.is_dir():
        file_operations.copy(path, dest, contents=True)
        return sum(1 for found in path.rglob("*") if not found.is_dir())
    if item.extract is not False and is_archive(path):
        is_npm = scheme_of(item.source) is Scheme.NPM
        return _extract(
            run,
            path,
            dest,
            strip=(item.strip or strip) + (1 if is_npm else 0),
            subdir=item.subdir,
        )
    if item.extract is not False and is_single_compressed_file(path):
        return _decompress(path, dest)
    if item.extract:
        raise ArchiveError(
            f"{name} is not an archive that envy unpacks, but its `extract` is true",
            archive=path,
            hint="supported are tar (plain, gz, xz, bz2, zst), zip and wheels",
        )
    file_operations.copy(path, dest / name)
    if item.executable:
        file_operations.chmod(dest / name, "a+x")
    return 1


def _extract(run: PhaseRun, archive: Path, dest: Path, *, strip: int, subdir: str) -> int:
    from envy.content.archive import extract
    from envy.transport.wheel import lay_out_wheel

    events = RecipeEvents(run.recipe, run.engine.services.events)
    started = time.monotonic()
    events.extract_start(archive, dest)
    if archive.suffix == ".whl" and not strip and not subdir:
        count = lay_out_wheel(archive, dest)
    else:
        count = extract(archive, dest, strip=strip, subdir=subdir)
    events.extract_complete(archive, dest, count, time.monotonic() - started)
    return count


def _decompress(path: Path, dest: Path) -> int:
    from envy.content.archive import decompress_file

    name = path.name
    for suffix in _SINGLE_SUFFIXES:
        name = name.removesuffix(suffix)
    file_operations.mkdir(dest)
    decompress_file(path, dest / name)
    return 1
