"""Checksum files that sources name: `sha256sums = URL`.

Owns which line of such a file is that of a download. The file is fetched before the download, so
that what it lists is verified while the content streams, like a digest of the recipe.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from envy.content.checksum_lines import ALGORITHMS, ListedChecksum, listed_checksum
from envy.declarations.source_digests import CHECKSUM_FIELDS
from envy.declarations.sources import SourceItem, last_part, scheme_of
from envy.errors import FetchError
from envy.limits import CHECKSUM_FILE
from envy.locking.lock import update_command
from envy.suggest import nearest
from envy.transport.addresses import redacted
from envy.transport.companion import Fetch, companion_of, read_companion
from envy.transport.context import FetchContext, ListedDigest
from envy.transport.digests import LOCK, wanted_digests
from envy.transport.minisign import check_companion

_REPLACED = "the file or the list was replaced; do not use it unless you know why"


def with_listed(item: SourceItem, fetch: Fetch, context: FetchContext) -> FetchContext:
    """Return the context for a source, with the digests that its checksum files list.

    Offline, the digest of the recipe or the lock is enough: the content is what was listed then.

    Raises:
        FetchError: a checksum file cannot be fetched, does not list the source, or lists another
            digest than the recipe or the lock has; or its signature is not right.
    """
    wanted = wanted_digests(item, context)
    if context.offline and wanted:
        return context
    found = []
    for field, algorithm in CHECKSUM_FIELDS.items():
        address = getattr(item, field)
        if not address:
            continue
        uri = redacted(address)
        name = last_part(item, scheme_of(item.source)) or item.dest.rpartition("/")[2]
        content = _content(item, address, fetch, context)
        listed = ListedDigest(
            algorithm=algorithm, hexdigest=digest_in(content, name, algorithm, uri=uri), by=uri
        )
        for each in wanted:
            if each.algorithm == algorithm and each.hexdigest != listed.hexdigest:
                raise FetchError(
                    f"{uri} lists another {algorithm} of {name} than {each.by} has\n"
                    f"  {each.by}: {each.hexdigest}\n  listed: {listed.hexdigest}",
                    uri=uri,
                    hint=f"if what changed is right, run {update_command(each.package)}"
                    if each.by == LOCK
                    else _REPLACED,
                )
        found.append(listed)
    return replace(context, listed=tuple(found))


def _content(item: SourceItem, address: str, fetch: Fetch, context: FetchContext) -> bytes:
    """Return a checksum file whose signature is right, fetched once for all who name it."""
    companion = companion_of(item, address, "checksums")

    def read() -> bytes:
        uri = redacted(address)

        def too_large() -> FetchError:
            return FetchError(
                f"{uri} is larger than {CHECKSUM_FILE.shown}, the limit {CHECKSUM_FILE.name}",
                uri=uri,
                hint=CHECKSUM_FILE.hint,
            )

        content = read_companion(companion, fetch, context, CHECKSUM_FILE.value, too_large)
        if item.signature is not None:
            check_companion(companion, item.signature, content, fetch, context)
        return content

    key = "checksums", address, companion.headers, companion.profile, item.signature
    return context.memo.once(key, read)


def digest_in(content: bytes, name: str, algorithm: str, *, uri: str) -> str:
    """Return the digest that a checksum file lists for the file `name`.

    A line with exactly this name goes before those of files in folders. A file that consists of one
    digest is that of its only file.

    Raises:
        FetchError: it lists none, or several, or is not a checksum file.
    """
    words = content.split()
    if len(words) == 1 and len(words[0]) == ALGORITHMS[algorithm]:
        content = words[0] + b"  " + name.encode("utf-8", "surrogateescape")
    rows = [row for row in _rows(content, algorithm) if row.algorithm == algorithm]
    exact = {row.digest for row in rows if row.path.removeprefix("./") == name}
    found = exact or {row.digest for row in rows if row.path.rpartition("/")[2] == name}
    if len(found) == 1:
        return found.pop()
    if found:
        shown = "".join(f"\n  {digest}" for digest in sorted(found)[:8])
        raise FetchError(
            f"{uri} lists {len(found)} different digests ({algorithm}) of {name}:{shown}",
            uri=uri,
            hint=f"declare the right one: {algorithm} = …",
        )
    if not rows:
        raise FetchError(
            f"{uri} is not a checksum file: it has no line with a digest ({algorithm}) and a name",
            uri=uri,
            hint="check the address; a page that shows the file is not the file",
        )
    close = nearest(name, (row.path.rpartition("/")[2] for row in rows))
    raise FetchError(
        f"{uri} does not list {name}" + (f"; it lists {close}" if close else ""),
        uri=uri,
        hint="the line for the last part of the address of the source is searched for; check the "
        "version in both addresses",
    )


def _rows(content: bytes, algorithm: str) -> Iterable[ListedChecksum]:
    """Yield what the lines say; comments and the frame of a signed text are skipped."""
    for line in content.split(b"\n"):
        # A line with a tag has its own algorithm.
        row = listed_checksum(line) or listed_checksum(line, algorithm)
        if row is not None:
            yield row
