"""A small file that says something about a download: its signature, or the list of its checksum.

Owns where such a file is fetched from, with which credentials, and how much of it is read.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from envy.content.scratch import scratch_folder
from envy.declarations.sources import Scheme, SourceItem, scheme_of
from envy.errors import FetchError
from envy.transport.addresses import origin_of, redacted
from envy.transport.context import FetchContext, Fetched

Fetch = Callable[[SourceItem, Path, FetchContext], Fetched]


def companion_of(item: SourceItem, source: str, name: str) -> SourceItem:
    """Return the source of a companion: the item's credentials are only for the item's host."""
    scheme = scheme_of(item.source)
    is_beside = scheme is scheme_of(source) and (
        scheme is Scheme.S3
        or (scheme is Scheme.HTTP and origin_of(source) == origin_of(item.source))
    )
    return SourceItem(
        source=source,
        dest=name,
        extract=False,
        headers=item.headers if is_beside else (),
        profile=item.profile if is_beside else "",
        origin=item.origin,
        base_dir=item.base_dir,
    )


def read_companion(
    companion: SourceItem,
    fetch: Fetch,
    context: FetchContext,
    most: int,
    refuse: Callable[[], FetchError],
) -> bytes:
    """Fetch a companion and return its content.

    Raises:
        FetchError: it cannot be fetched, or is a folder; `refuse` makes the error for one that has
            more bytes than `most`, which are not transferred.
    """

    def progress(_: str, done: int, total: int) -> None:
        if max(done, total) > most:
            raise refuse()

    uri = redacted(companion.source)
    with scratch_folder(companion.dest) as scratch:
        path = fetch(companion, scratch, replace(context, progress=progress, listed=())).path
        if not path.is_file():
            raise FetchError(f"{uri} is a folder, and not the {companion.dest} of a file", uri=uri)
        with path.open("rb") as file:
            content = file.read(most + 1)
    if len(content) > most:
        raise refuse()
    return content
