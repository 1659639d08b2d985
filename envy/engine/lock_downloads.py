"""The digests of downloads, for a lock: from the recipe, the lock, a registry, or a download.

What the lock has stays while the recipe allows it. Nothing is stored in the cache.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

from envy import interpreter
from envy.content.scratch import scratch_folder
from envy.declarations.sources import BY_ADDRESS, Scheme, SourceItem, file_name, scheme_of
from envy.errors import EnvyError, FetchError
from envy.execution.transfer import fetch_context
from envy.execution.unpinned import pinned
from envy.locking.lock import COMMIT, UNKNOWN, LockedFile, LockView, Topic
from envy.transport import FetchContext, fetch_source

if TYPE_CHECKING:
    from envy.engine.engine import Engine
    from envy.engine.lock_facts import Download

_STRONG = ("sha256", "sha384", "sha512", "blake2b")


def values_of(
    downloads: Iterable[Download], engine: Engine, view: LockView
) -> Mapping[Topic, tuple[str, ...]]:
    """Return the file name, digest and size of each download; several are looked up at once.

    Raises:
        EnvyError: that of the first download, in order, that cannot be looked up.
    """
    downloads = list(downloads)
    known = [_kept(each, view) for each in downloads]
    due = [each for each, row in zip(downloads, known, strict=True) if row is None]
    found: dict[int, tuple[str, ...] | EnvyError] = {}

    def look_up(download: Download) -> None:
        context = replace(fetch_context(download.recipe, engine), locked=lambda _item: None)
        try:
            if download.topic[1] == COMMIT:
                answer: tuple[str, ...] = (pinned(download.item, download.recipe, engine).ref,)
            else:
                answer = _looked_up(download, context)
            found[id(download)] = answer
        except EnvyError as error:
            found[id(download)] = error

    if due:
        most = min(engine.services.fetch_jobs, len(due))
        with interpreter.released(), ThreadPoolExecutor(most, "envy-lock") as pool:
            list(pool.map(look_up, due))
    values: dict[Topic, tuple[str, ...]] = {}
    for download, row in zip(downloads, known, strict=True):
        values[download.topic] = row or _raised(found[id(download)])
    return values


def _raised(answer: tuple[str, ...] | EnvyError) -> tuple[str, ...]:
    if isinstance(answer, EnvyError):
        raise answer
    return answer


def _kept(download: Download, view: LockView) -> tuple[str, ...] | None:
    """Return what the lock has of a download, if that satisfies the recipe; else None."""
    package, kind, subject = download.topic
    if kind == COMMIT:
        return view.facts.get(download.topic)
    locked = view.file(package, subject)
    if locked is None or not _satisfies(locked, download):
        return None
    return locked.name, locked.digest, locked.size


def _satisfies(locked: LockedFile, download: Download) -> bool:
    if download.declared not in {"", locked.digest}:
        return False
    return scheme_of(download.item.source) not in BY_ADDRESS or locked.name == _own_name(download)


def _own_name(download: Download) -> str:
    return file_name(download.item).rpartition("/")[2]


def _looked_up(download: Download, context: FetchContext) -> tuple[str, str, str]:
    item, declared = download.item, download.declared
    scheme = scheme_of(item.source)
    if scheme is Scheme.PYPI:
        from envy.transport.index_page import listed_digest
        from envy.transport.pypi import release_file

        with interpreter.released():
            file = release_file(item, context)
        name, size = file.name, str(file.size or UNKNOWN)
        listed = listed_digest(file)
        digest = f"{listed.algorithm}:{listed.hexdigest}" if listed else ""
    elif scheme is Scheme.NPM:
        from envy.transport.npm import release_tarball

        name, digest = release_tarball(item, context)
        size = UNKNOWN
    else:
        name, digest, size = _own_name(download), "", UNKNOWN
    if declared:
        _check_equal(item, declared, digest)
        return name, declared, size
    if digest.partition(":")[0] in _STRONG:
        return name, digest, size
    return name, *_downloaded(item, name, context)


def _check_equal(item: SourceItem, declared: str, listed: str) -> None:
    """Raise if a registry lists another digest than the recipe declares."""
    if listed.partition(":")[0] == declared.partition(":")[0] and listed != declared:
        raise FetchError(
            f"the registry lists {listed} for {item.source}, but the recipe declares {declared}",
            uri=item.source,
            hint="correct the recipe, or ask the operators of the registry",
        )


def _downloaded(item: SourceItem, name: str, context: FetchContext) -> tuple[str, str]:
    """Return the digest and size of a file that is downloaded for this, once for all platforms."""

    def download() -> tuple[str, str]:
        with scratch_folder("lock") as folder:
            fetched = fetch_source(item, folder, context)
            return f"sha256:{fetched.sha256}", str(fetched.bytes)

    return context.memo.once(("locked", item.source, name), download)
