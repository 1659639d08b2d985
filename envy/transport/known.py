"""What registries named for sources before: with it, a kept file is used without asking them.

A source that its recipe or the lock pins by a digest is known by that, for every project. Of
another one, the file that the project had last is used while envy works offline.
"""

from collections.abc import Sequence
from pathlib import Path

from envy.cache.downloads import KnownFile
from envy.declarations.sources import SourceItem, file_name
from envy.transport.context import FetchContext, Fetched
from envy.transport.digests import ExpectedDigest, expected_digests, wanted_digests
from envy.transport.kept import take_kept
from envy.transport.target import reusable, target_in

_BY = "the last fetch of this project"


def take_known(
    item: SourceItem, into: Path, context: FetchContext, *, name: str, more: Sequence[str] = ()
) -> Fetched | None:
    """Return a registry's file that is kept, or that an earlier attempt left; None if unknown.

    `name` is the name that the registry gives the file, as far as the source decides it, and `more`
    is what decides the file beside the source.

    Raises:
        FetchError: a kept file does not have all digests that the recipe or the lock declares.
    """
    if context.kept is None:
        return None
    expected = wanted_digests(item, context)  # of the lock, too
    if not expected and not context.offline:
        return None
    known = context.kept.recall(*_texts(item, more), pinned=bool(expected_digests(item)))
    if not expected:
        if known is None:
            return None
        expected = (ExpectedDigest(algorithm="sha256", hexdigest=known.sha256, by=_BY),)
    locked = context.locked(item)
    given = locked.name if locked is not None else ""
    name = file_name(item) or given or (known.name if known else name)
    if not name:
        return None
    context = context.reporting_as(item.source)
    target = target_in(into, name)
    return reusable(target, item.source, expected) or take_kept(
        item, target, context, expected=expected, uri=item.source
    )


def remember_known(
    item: SourceItem,
    fetched: Fetched,
    context: FetchContext,
    *,
    name: str,
    more: Sequence[str] = (),
) -> None:
    """Remember the file that a registry named, if its content was verified."""
    if context.kept is not None and fetched.verified and fetched.sha256:
        known = KnownFile(name=name, sha256=fetched.sha256)
        is_pinned = bool(expected_digests(item))
        context.kept.remember(*_texts(item, more), pinned=is_pinned, known=known)


def _texts(item: SourceItem, more: Sequence[str]) -> tuple[str, ...]:
    # Without the last one, records of sources that do not have it keep their names.
    return item.source, item.sha256, item.blake3, *filter(None, [item.sha512]), *more
