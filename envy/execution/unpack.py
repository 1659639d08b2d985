"""Unpacking fetched files into a stage: archives, wheels, trees and single files.

Every destination is checked by its real path against the root of the stage. At the end, so are the
links that the items brought, including those of earlier calls.

The items of one call must not bring the same path with different content. A function of a recipe
that makes several calls decides by their order what replaces what.
"""

from __future__ import annotations

import contextlib
import os.path
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from envy.content import file_operations, tree_copy
from envy.content.arrivals import Arrivals, PathConflict
from envy.content.arriving import Arriving, Unpacked
from envy.content.below_root import BelowRoot, open_below, parts_of
from envy.content.brought import LeadsOutside, Parts
from envy.content.count_files import CountFiles
from envy.content.member_selection import MemberSelection
from envy.content.spelling import SameToFileSystem
from envy.content.written_digests import WrittenDigests
from envy.declarations.sources import Scheme, SourceItem, scheme_of
from envy.declarations.tables import StageTable
from envy.errors import ArchiveError, DeclarationError, EnvyError, InternalError
from envy.execution.files_meter import files_meter
from envy.execution.phase_run import PhaseRun
from envy.execution.recipe_events import RecipeEvents
from envy.graph.recipe import Recipe
from envy.interpreter import released

_APART = 'unpack one of the two into a folder of its own: into = "…"'


def unpack_all(run: PhaseRun, dest: str, *, strip: int, ahead: Unpacked | None = None) -> int:
    """Extract every fetched archive and copy other files; return the number of files.

    `dest` is relative to the run directory. `ahead` is there already.
    """
    fetched = run.recipe.work.fetched
    with _stage(run, dest) as (below, into):
        below.arrivals = Arrivals() if len(fetched) > 1 else None
        try:
            return sum(
                _unpack_item(run, name, item, below, into, strip=strip, ahead=ahead)
                for name, item in fetched.items()
            )
        except PathConflict as error:
            raise _explained(error, fetched[error.first], fetched[error.second]) from None


def take_unpacked_ahead(run: PhaseRun, *, strip: int) -> Unpacked | None:
    """Return the archive that was unpacked during its download, if it is what the stage unpacks.

    Otherwise, what it brought is removed. Later calls return None: to unpack it once more, as
    ctx.extract_all does, is to unpack the file.
    """
    work = run.recipe.work
    ahead, work.unpacked_ahead = work.unpacked_ahead, None
    if ahead is None or (
        ahead.root == str(run.run_dir)
        and [*work.fetched] == [ahead.name]
        and ahead.plan == (work.fetched[ahead.name], strip)
    ):
        return ahead
    with released():
        file_operations.remove(Path(ahead.root))
    Path(ahead.root).mkdir()
    work.links.pop(ahead.root, None)
    work.unpacked = None
    if work.written is not None:
        work.written = WrittenDigests(work.written.needles)
    return None


def unpack_one(run: PhaseRun, archive: Path, dest: str, *, strip: int) -> int:
    """Extract one archive of any supported format; return the number of files."""
    with _stage(run, dest) as (below, into):
        return _extract(run, archive, below, Extraction(into=into, strip=strip))


@contextlib.contextmanager
def _stage(run: PhaseRun, dest: str) -> Iterator[tuple[BelowRoot, Parts]]:
    """Open the root that `dest` is below, with the path from it; judge its links at the end."""
    from envy.content.extraction import judge_links

    root, inner = str(run.run_dir), os.path.normpath(dest)
    if inner.startswith(("/", "../")) or inner == "..":
        # If the author names a folder elsewhere, that folder is the root.
        root, inner = os.path.join(root, inner), ""  # noqa: PTH118
    links = run.recipe.work.links.setdefault(root, {})
    with open_below(root, links) as below:
        if run.recipe.work.unpacked is None:
            run.recipe.work.unpacked = below.unpacked
        below.unpacked = run.recipe.work.unpacked
        below.digests = run.recipe.work.written
        below.is_final = is_published_so(run.recipe)
        yield below, parts_of(inner)
        judge_links(below)


def is_published_so(recipe: Recipe) -> bool:
    """Return whether files are published as they are unpacked: nothing of the recipe runs between.

    Then they are created with the permissions that publishing would give them.
    """
    loaded = recipe.loaded_or_none
    if loaded is None:
        return False  # a function fetches the recipe itself
    definition = loaded.definition
    has_verbs = definition.build is not None or definition.install is not None
    stages_itself = definition.stage is not None and not isinstance(definition.stage, StageTable)
    return not (has_verbs or stages_itself or definition.writable)


def _explained(error: PathConflict, first: SourceItem, second: SourceItem) -> EnvyError:
    """Return the error for a path that two items bring, with where each of them is declared."""
    one, two = (
        f"{name} ({item.origin})" if item.origin else name
        for name, item in ((error.first, first), (error.second, second))
    )
    more = f" (and {error.more} more)" if error.more else ""
    hint = _APART
    if not error.is_of_kind:
        hint += f"; if {error.second} is to replace it, add overlay = true to its source"
    return DeclarationError(
        f"{one} and {two} bring the same path, {error.why}: {error.path}{more}",
        origin=second.origin,
        hint=hint,
    )


def _unpack_item(
    run: PhaseRun,
    name: str,
    item: SourceItem,
    below: BelowRoot,
    into: Parts,
    *,
    strip: int,
    ahead: Unpacked | None,
) -> int:
    into += parts_of(item.into)
    try:
        if below.arrivals is None:
            return _unpack_into(run, name, item, below, into, strip=strip, ahead=ahead)
        below.arrivals.begin(name, overlay=item.overlay)
        count = _unpack_into(run, name, item, below, into, strip=strip, ahead=None)
        with released():
            below.arrivals.check(below.content)
        return count
    except LeadsOutside as error:
        raise EnvyError(f"{name} would be written through {error.why}", hint=_APART) from None
    except SameToFileSystem as error:
        raise EnvyError(f"could not unpack {name}: {error.message}", hint=error.hint) from None
    except (NotADirectoryError, IsADirectoryError) as error:
        kind = "folder" if isinstance(error, IsADirectoryError) else "file"
        raise EnvyError(
            f"{name} cannot be unpacked: {error.filename} is already a {kind}", hint=_APART
        ) from None
    except OSError as error:
        with file_operations.explained("unpack", _fetched(run, name)):
            raise error


def _fetched(run: PhaseRun, name: str) -> Path:
    if run.fetch_dir is None:
        raise InternalError(f"{name} was fetched into no folder")
    return run.fetch_dir / name


def _unpack_into(
    run: PhaseRun,
    name: str,
    item: SourceItem,
    below: BelowRoot,
    into: Parts,
    *,
    strip: int,
    ahead: Unpacked | None,
) -> int:
    from envy.content.archive import is_archive, is_single_compressed_file
    from envy.content.archive_errors import FORMATS

    path = _fetched(run, name)
    is_unpacked = item.extract is not False and not path.is_dir() and is_archive(path)
    _check_selection(item, name, is_unpacked=is_unpacked, is_folder=path.is_dir())
    if path.is_dir():
        with released():
            return tree_copy.copy_tree(path, below, into, item=name)
    if is_unpacked:
        return _extract(run, path, below, extraction_of(item, strip, into), ahead=ahead)
    if item.extract is not False and is_single_compressed_file(path):
        return _decompress(path, below, into, executable=item.is_executable)
    if item.extract:
        raise ArchiveError(
            f"{name} is not an archive that envy unpacks, but its `extract` is true",
            archive=path,
            hint=f"supported are {FORMATS}",
        )
    with released():
        tree_copy.copy_file(path, below, (*into, *parts_of(name)), executable=item.is_executable)
    return 1


def _check_selection(item: SourceItem, name: str, *, is_unpacked: bool, is_folder: bool) -> None:
    """Raise for a field that would be ignored, because the item is an archive or is none."""
    if is_unpacked and item.is_executable:
        raise DeclarationError(
            f"{name} is unpacked, and its `executable` is true",
            origin=item.origin,
            hint='name files of the archive: executable = { "bin/*" }',
        )
    if is_unpacked:
        return
    given = {"only": item.only, "executable": item.executable and not item.is_executable}
    given["exclude"] = item.exclude and not is_folder
    for field, value in given.items():
        if value:
            raise DeclarationError(
                f"{name} is not unpacked, and its `{field}` has patterns for what an archive holds",
                origin=item.origin,
                hint=f"remove `{field}`, or name a function `stage` that changes the files",
            )


def _selection(item: SourceItem) -> MemberSelection | None:
    executable = item.executable if isinstance(item.executable, tuple) else ()
    if not (item.only or item.exclude or executable):
        return None
    return MemberSelection(only=item.only, exclude=item.exclude, executable=executable)


@dataclass(frozen=True, slots=True, kw_only=True)
class Extraction:
    """What is unpacked of an archive, and where."""

    into: Parts
    strip: int
    subdir: str = ""
    select: MemberSelection | None = None

    def run(
        self,
        archive: Path,
        below: BelowRoot,
        *,
        report: CountFiles | None = None,
        arriving: Arriving | None = None,
    ) -> int:
        """Unpack, and return the number of files; an archive may be still `arriving`."""
        from envy.content.archive import extract_below
        from envy.transport.wheel import lay_out_wheel_below

        if archive.suffix == ".whl" and not self.strip and not self.subdir:
            return lay_out_wheel_below(
                archive, below, self.into, select=self.select, report=report, arriving=arriving
            )
        return extract_below(
            archive,
            below,
            self.into,
            strip=self.strip,
            subdir=self.subdir,
            select=self.select,
            report=report,
            arriving=arriving,
        )


def extraction_of(item: SourceItem, strip: int, into: Parts | None = None) -> Extraction:
    """Return what is unpacked of the archive of a source, by a stage with that `strip`."""
    return Extraction(
        into=parts_of(item.into) if into is None else into,
        strip=(item.strip or strip) + (1 if scheme_of(item.source) is Scheme.NPM else 0),
        subdir=item.subdir,
        select=_selection(item),
    )


def _extract(
    run: PhaseRun,
    archive: Path,
    below: BelowRoot,
    extraction: Extraction,
    *,
    ahead: Unpacked | None = None,
) -> int:
    events = RecipeEvents(run.recipe, run.engine.services.events)
    dest = Path(below.given, *extraction.into)
    started = time.monotonic()
    events.extract_start(archive, dest)
    if ahead is not None:
        count, took = ahead.count, ahead.seconds
    else:
        report = files_meter(run.recipe, run.engine.services.events, "unpacking")
        count = extraction.run(archive, below, report=report)
        took = time.monotonic() - started
    events.extract_complete(archive, dest, count, took)
    return count


def _decompress(path: Path, below: BelowRoot, into: Parts, *, executable: bool) -> int:
    from envy.content.archive import decompress_below, decompressed_name

    name = decompressed_name(path.name)
    decompress_below(path, below, (*into, name), executable=executable)
    return 1
