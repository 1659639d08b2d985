"""Downloads that the cache keeps, in place of a transfer; each is verified when it is used."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from envy.cache.downloads import Downloads
from envy.cache.names import DOWNLOAD_ALGORITHMS
from envy.content.archive import is_archive_called, is_unpacked
from envy.content.atomic import written_whole
from envy.declarations.sources import SourceItem
from envy.errors import FetchError
from envy.os_errors import os_error_text
from envy.transport.context import FetchContext, Fetched, Sharing
from envy.transport.digests import ExpectedDigest, Hasher
from envy.transport.target import make_executable
from envy.transport.turns import give_turn

_CHUNK = 1 << 20


def take_kept(
    item: SourceItem,
    target: Path,
    context: FetchContext,
    *,
    expected: Sequence[ExpectedDigest],
    uri: str,
) -> Fetched | None:
    """Return a file that is kept under an expected digest, as `target`; None if there is none.

    One that turns out to be damaged is removed, with a warning.

    Raises:
        FetchError: the content does not have another of the expected digests.
    """
    if context.kept is None:
        return None
    wanted = _Wanted(item=item, target=target, expected=expected, uri=uri)
    for digest in _usable(expected):
        descriptor = context.kept.find(digest.algorithm, digest.hexdigest)
        if descriptor is None:
            continue
        try:
            return _take(wanted, digest, descriptor, context.kept, context)
        except _Damaged:
            context.kept.drop(digest.algorithm, digest.hexdigest)
            context.warn(
                f"the kept download of {uri} was damaged, and is removed: "
                f"{context.kept.path(digest.algorithm, digest.hexdigest)}"
            )
        except OSError as error:
            context.warn(f"the kept download of {uri} cannot be used: {os_error_text(error)}")
        finally:
            os.close(descriptor)
    return None


def keep(part: Path, hasher: Hasher, item: SourceItem, name: str, context: FetchContext) -> None:
    """Keep a file that has just been verified; a failure is a warning."""
    if context.kept is None:
        return
    try:
        context.kept.keep(str(part), hasher.digests, shared=_is_shared(item, part, name, context))
    except OSError as error:
        context.warn(f"{name} cannot be kept for later use: {os_error_text(error)}")


def set_aside(path: Path, sha256: str, error: FetchError, context: FetchContext) -> None:
    """Keep a file aside that is refused because of `error`, which says where it is then."""
    if context.kept is None:
        return
    try:
        kept = context.kept.refuse(str(path), sha256)
    except OSError as failure:
        context.warn(f"{path.name} cannot be kept aside: {os_error_text(failure)}")
        return
    if kept:
        error.message += f"\n  kept as  {kept}"
        error.args = (error.message,)


class _Damaged(Exception):
    """A kept file does not have the digest that it is named after."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wanted:
    item: SourceItem
    target: Path
    expected: Sequence[ExpectedDigest]
    uri: str


def _take(
    wanted: _Wanted,
    digest: ExpectedDigest,
    descriptor: int,
    kept: Downloads,
    context: FetchContext,
) -> Fetched:
    target, uri = wanted.target, wanted.uri
    give_turn()
    total, done = os.fstat(descriptor).st_size, 0
    source = Path(kept.path(digest.algorithm, digest.hexdigest))
    hasher = Hasher(wanted.expected)
    with written_whole(target) as part:
        is_linked = _is_shared(wanted.item, source, target.name, context) and kept.share(
            digest.algorithm, digest.hexdigest, str(part)
        )
        # The linked file is read by its new name, which nobody else can replace.
        reading = os.open(part, os.O_RDONLY) if is_linked else os.dup(descriptor)
        with (
            open(reading, "rb") as file,  # noqa: PTH123 - a descriptor
            open(os.devnull if is_linked else part, "wb") as copy,  # noqa: PTH123
        ):
            while data := file.read(_CHUNK):
                context.check_cancelled()
                hasher.update(data)
                if not is_linked:
                    copy.write(data)
                done += len(data)
                context.progress(uri, done, total)
        if hasher.digests[digest.algorithm] != digest.hexdigest:
            raise _Damaged
        hasher.verify(uri)
        if wanted.item.is_executable:
            make_executable(part)
    return Fetched(path=target, bytes=done, sha256=hasher.sha256, uri=uri, verified=True)


def _usable(expected: Iterable[ExpectedDigest]) -> list[ExpectedDigest]:
    """Return the expected digests that files are kept under, the usual one first."""
    found = [digest for digest in expected if digest.algorithm in DOWNLOAD_ALGORITHMS]
    return sorted(found, key=lambda digest: DOWNLOAD_ALGORITHMS.index(digest.algorithm))


def _is_shared(item: SourceItem, path: Path, name: str, context: FetchContext) -> bool:
    """Return whether the working file may be the kept one, since only envy reads it."""
    if context.shares is Sharing.EVERYTHING:
        return not item.is_executable  # the kept file has no such mode
    if context.shares is Sharing.NOTHING or item.extract is False or item.is_executable:
        return False
    wanted = is_unpacked if context.shares is Sharing.UNPACKED else is_archive_called
    return wanted(path, name)
