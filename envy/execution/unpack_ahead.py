"""Unpacking the archive of a recipe while it is being downloaded, where its stage will have it.

Owns which recipes qualify: those whose only source is a file from elsewhere that the default stage
unpacks. A download that is nearly there is not followed.

Guarantees
  The thread that unpacks writes nothing any more when the phase fetch ends, in whatever way.
  What it has unpacked stays only if the bytes that it read have the digest of the file that was
  verified, and were never given up. Whenever that is not known, it is removed, and the stage
  unpacks the file, as it does without this.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from envy.content.arriving import GivenUp, Unpacked
from envy.content.unpacked_size import UnpackedSize
from envy.content.written_digests import WrittenDigests
from envy.declarations.sources import BY_ADDRESS, Scheme, SourceItem, scheme_of
from envy.declarations.tables import StageTable
from envy.errors import EnvyError
from envy.interpreter import released

if TYPE_CHECKING:
    from envy.content.arriving import Arriving
    from envy.content.brought import Links
    from envy.execution.services import PhaseServices
    from envy.graph.recipe import Recipe

_AFTER = 0.25  # seconds of a download after which its rate is known
_LEAST = 0.25  # seconds that the rest of it is going to take
_HEAD = 512  # bytes
_SCHEMES = BY_ADDRESS | {Scheme.PYPI, Scheme.NPM}

# Each uses a processor beside the slots, whatever --jobs and --fetch-jobs are.
_free = threading.BoundedSemaphore(max(1, (os.cpu_count() or 1) - 1))


class UnpackAhead:
    """The follower of the one download of a recipe."""

    def __init__(
        self, recipe: Recipe, item: SourceItem, root: Path, *, after: float, least: float
    ) -> None:
        self._recipe = recipe
        self._item = item
        self._root = root
        self._after = after
        self._least = least
        self._name = ""
        self._arriving: Arriving | None = None
        self._thread: threading.Thread | None = None
        self._links: Links = {}
        self._size = UnpackedSize()
        self._unpacked: Unpacked | None = None
        self._verified = ""  # the digest of the file that was verified

    def follow(self, item: SourceItem, target: Path) -> UnpackAhead | None:
        """Return this for the source of the recipe, and None for its checksum file, say."""
        if item is not self._item:
            return None
        fetch_dir = self._recipe.placement.entry.fetch_dir
        self._name = target.relative_to(fetch_dir).as_posix()  # `dest` may name folders
        return self

    def wants(self, *, received: int, left: int, seconds: float) -> bool:
        """Return whether the rest takes so long that unpacking is worth it."""
        if self._thread is not None or seconds < self._after or received < _HEAD:
            return False
        return left / received * seconds >= self._least

    def start(self, arriving: Arriving) -> None:
        """Unpack in a thread, unless this cannot be unpacked ahead, or others are busy with it."""
        self._arriving = arriving
        self._thread = threading.Thread(target=self._run, name="unpack-ahead", daemon=True)
        try:
            self._thread.start()
        except RuntimeError:
            self._arriving = None  # the system has no more threads
            arriving.close()

    def accept(self, sha256: str) -> None:
        self._verified = sha256

    def give_up(self) -> None:
        if self._arriving is not None:
            self._arriving.give_up()

    def _run(self) -> None:
        assert self._arriving is not None, "start() comes first"
        is_free = _free.acquire(blocking=False)
        began = time.monotonic()
        try:
            if not is_free:
                return
            count = self._unpack(self._arriving)
            if self._arriving.is_confirmed():
                took = time.monotonic() - began
                self._unpacked = Unpacked(
                    name=self._name,
                    root=str(self._root),
                    plan=(self._item, self._strip()),
                    count=count,
                    seconds=took,
                )
        except Exception:  # noqa: BLE001 - the stage meets the error again, if it is one
            # It may be that the disk is full, and the download goes on. Whoever is left has
            # written nothing, and the stage may be at work there.
            if not self._arriving.is_left:
                with contextlib.suppress(EnvyError, OSError):
                    self._clear()
        finally:
            if is_free and not self._arriving.is_left:
                _free.release()
            self._arriving.close()

    def _unpack(self, arriving: Arriving) -> int:
        from envy.content.archive import is_unpacked_while_arriving
        from envy.content.below_root import open_below
        from envy.content.extraction import judge_links
        from envy.execution.unpack import extraction_of, is_published_so

        if not is_unpacked_while_arriving(self._name, arriving.pread(_HEAD, 0)):
            raise GivenUp
        recipe, extraction = self._recipe, extraction_of(self._item, self._strip())
        with open_below(self._root, self._links) as below:
            below.unpacked = self._size
            below.digests = recipe.work.written
            below.is_final = is_published_so(recipe)
            path = recipe.placement.entry.fetch_dir / self._name
            count = extraction.run(path, below, arriving=arriving)
            judge_links(below)
        return count

    def _strip(self) -> int:
        stage = self._recipe.loaded.definition.stage
        return stage.strip if isinstance(stage, StageTable) else 0

    def end(self, *, is_verified: bool) -> None:
        """Wait for the thread, and tell the stage what is there; remove it if that is wrong."""
        if self._arriving is None or self._thread is None:
            return
        verified = self._verified if is_verified else ""
        if not self._arriving.is_accepted(verified):
            self._arriving.give_up()
        # A server that does not answer for the end of a zip holds nothing up: once it answers,
        # the thread ends without having written anything.
        if self._arriving.give_up_asking():
            _free.release()
        else:
            with released():
                self._thread.join()
        work = self._recipe.work
        if self._unpacked is not None and self._arriving.is_accepted(verified):
            work.unpacked_ahead = self._unpacked
            work.links[str(self._root)] = self._links
            work.unpacked = self._size
        else:
            self._clear()

    def _clear(self) -> None:
        from envy.content import file_operations

        with released():
            file_operations.remove(self._root)
        self._root.mkdir()
        work = self._recipe.work
        if work.written is not None:
            work.written = WrittenDigests(work.written.needles)


@contextlib.contextmanager
def unpacking_ahead(
    recipe: Recipe, engine: PhaseServices, items: Sequence[SourceItem], root: Path
) -> Iterator[UnpackAhead | None]:
    """Give what follows the download of a recipe whose default stage unpacks it into `root`.

    None if its stage does something else.
    """
    if not _qualifies(recipe, engine, items) or not _is_empty(root):
        yield None
        return
    ahead = UnpackAhead(recipe, items[0], root, after=_AFTER, least=_LEAST)
    try:
        yield ahead
    except BaseException:
        # What cannot be removed is, like the rest of the entry, before the next attempt.
        with contextlib.suppress(EnvyError, OSError):
            ahead.end(is_verified=False)
        raise
    ahead.end(is_verified=True)


def _qualifies(recipe: Recipe, engine: PhaseServices, items: Sequence[SourceItem]) -> bool:
    stage = recipe.loaded.definition.stage
    return (
        len(items) == 1
        and recipe.placement.sources is not None  # no function fetches
        and (stage is None or isinstance(stage, StageTable))
        and items[0].extract is not False
        and scheme_of(items[0].source) in _SCHEMES
        and engine.services.stand_in is None
    )


def _is_empty(root: Path) -> bool:
    try:
        with os.scandir(root) as entries:
            return next(entries, None) is None
    except OSError:
        return False
