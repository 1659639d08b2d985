"""Fetching of sources: one module for each scheme, imported on first use.

Owns the dispatch and the rules that hold for every scheme: content is verified while it streams,
and nothing incomplete ever has its final name.
"""

import errno
import threading
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

from envy import interpreter
from envy.declarations.sources import BY_ADDRESS, Scheme, SourceItem, scheme_of
from envy.errors import Cancelled, EnvyError, FetchError
from envy.os_errors import os_error_hint, os_error_text
from envy.transport.context import FetchContext, Fetched, Memo, Offline, RunProgram, Sharing
from envy.transport.turns import give_turn, taking_turns

__all__ = [
    "FetchContext",
    "Fetched",
    "Memo",
    "Offline",
    "RunProgram",
    "Sharing",
    "fetch_all",
    "fetch_source",
    "resolve_ref",
]


_HINTS = {
    errno.ENAMETOOLONG: 'give it a shorter name: dest = "NAME", or envy fetch URI DEST',
    errno.ENOSPC: "free some space on that disk, or move the cache with --cache-root",
}


def fetch_source(item: SourceItem, into: Path, context: FetchContext) -> Fetched:
    """Fetch one source into the folder `into`, and verify it.

    A file that exists there already is reused if the item has a digest and the file matches it. Of
    a tree (a repository, a folder) only the item's `subdir` is fetched, if it has one.

    Raises:
        FetchError: the source cannot be fetched, or does not have the expected digest.
    """
    with interpreter.released():
        context.check_cancelled()
        try:
            return _fetch(item, into, context)
        except Offline as error:
            error.origin = item.origin
            raise
        except OSError as error:
            raise _of_the_system(error, item) from error


def _fetch(item: SourceItem, into: Path, context: FetchContext) -> Fetched:
    from envy.transport.target import create_folder

    create_folder(into)
    stood_in = context.stand_in.fetch(item, into) if context.stand_in is not None else None
    if stood_in is not None:
        return stood_in
    fetch = _fetcher(scheme_of(item.source, origin=item.origin))
    if item.sha256sums or item.sha512sums:
        from envy.transport.checksum_file import with_listed

        return fetch(item, into, with_listed(item, _fetch_companion, context))
    fetched = fetch(item, into, context)
    if item.signature is not None:
        _check_signature(item, fetched, context)
    return fetched


def _check_signature(item: SourceItem, fetched: Fetched, context: FetchContext) -> None:
    """Verify the signature of a file, which is removed if it is not right.

    It is kept aside then, like one with a wrong digest, unless it is a copy of a local file.
    Offline, the digest of the recipe or the lock is enough: the content is what was signed then.
    """
    from envy.transport.minisign import WrongSignature, check_signature

    if context.offline and (item.has_digest or context.locked(item) is not None):
        return
    try:
        check_signature(item, fetched, _fetch_companion, context)
    except BaseException as error:
        if isinstance(error, WrongSignature) and scheme_of(item.source) in BY_ADDRESS:
            from envy.transport.kept import set_aside

            set_aside(fetched.path, fetched.sha256, error, context)
        if fetched.path.is_file():
            fetched.path.unlink()
        raise


def _fetch_companion(item: SourceItem, into: Path, context: FetchContext) -> Fetched:
    return _fetcher(scheme_of(item.source))(item, into, context)


def _of_the_system(error: OSError, item: SourceItem) -> FetchError:
    """Return an error of the system that says which source it concerns, and what to do."""
    from envy.transport.addresses import redacted

    uri = redacted(item.source)
    return FetchError(
        f"could not fetch {uri}: {os_error_text(error)}",
        uri=uri,
        hint=_HINTS.get(error.errno or 0, "") or os_error_hint(error),
    )


def _fetcher(scheme: Scheme) -> Callable[[SourceItem, Path, FetchContext], Fetched]:
    if scheme is Scheme.HTTP:
        from envy.transport.http import fetch_http

        return fetch_http
    give_turn()  # the others may take long before they wait for an answer
    if scheme is Scheme.GIT:
        from envy.transport.git import fetch_git

        return fetch_git
    if scheme is Scheme.S3:
        from envy.transport.s3 import fetch_s3

        return fetch_s3
    if scheme in {Scheme.OCI, Scheme.PYPI, Scheme.NPM}:
        return _fetcher_of_registry(scheme)
    from envy.transport.local import fetch_local

    return fetch_local


def _fetcher_of_registry(
    scheme: Scheme,
) -> Callable[[SourceItem, Path, FetchContext], Fetched]:
    if scheme is Scheme.OCI:
        from envy.transport.oci import fetch_oci

        return fetch_oci
    if scheme is Scheme.PYPI:
        from envy.transport.pypi import fetch_pypi

        return fetch_pypi
    from envy.transport.npm import fetch_npm

    return fetch_npm


def resolve_ref(item: SourceItem, context: FetchContext, *, known: str = "") -> str:
    """Return the commit that a git source's `ref` names now; one request for each context.

    With `known`, the ref is taken to name that commit in this context, unless it was requested.

    Raises:
        FetchError: the repository cannot be reached, or has no such ref.
    """
    if context.stand_in is not None:
        return context.stand_in.commit_of(item)
    from envy.transport.git import resolve_commit

    with interpreter.released():
        try:
            return resolve_commit(item, context, known)
        except Offline as error:
            error.origin = item.origin
            raise


def fetch_all(
    items: Sequence[SourceItem],
    into: Path,
    context: FetchContext,
    *,
    parallel: int,
    on_start: Callable[[SourceItem], None] = lambda _: None,
    on_end: Callable[[SourceItem, Fetched], None] = lambda _item, _fetched: None,
) -> list[Fetched]:
    """Fetch all items, at most `parallel` at a time.

    Every item is tried, so that the error does not depend on timing. `on_start` and `on_end` (on
    success) are called in the thread that fetches the item.

    Raises:
        FetchError: items failed; the error is that of the first in their order, and names the rest.
    """

    def attempt(item: SourceItem) -> Fetched | EnvyError:
        try:
            on_start(item)
            fetched = fetch_source(item, into, context)
            on_end(item, fetched)
        except EnvyError as error:
            return error
        return fetched

    outcomes = _in_turns(attempt, items, parallel) if parallel > 1 else list(map(attempt, items))
    failures = [outcome for outcome in outcomes if isinstance(outcome, EnvyError)]
    if failures:
        raise _batch_error(failures)
    return [outcome for outcome in outcomes if isinstance(outcome, Fetched)]


def _in_turns(
    attempt: Callable[[SourceItem], Fetched | EnvyError], items: Sequence[SourceItem], parallel: int
) -> list[Fetched | EnvyError]:
    """Return what `attempt` returns for each item; at most `parallel` threads take turns."""
    if len(items) <= 1:
        return list(map(attempt, items))
    from concurrent.futures import ThreadPoolExecutor

    pending, outcomes = deque(enumerate(items)), dict[int, Fetched | EnvyError]()
    turn = threading.Lock()

    def work(_: int) -> None:
        with taking_turns(turn):
            while True:
                try:
                    number, item = pending.popleft()
                except IndexError:
                    return
                outcomes[number] = attempt(item)

    threads = min(parallel, len(items))
    with interpreter.released(), ThreadPoolExecutor(threads, "envy-fetch") as pool:
        try:
            list(pool.map(work, range(threads)))
        finally:
            pending.clear()  # after an error that no item explains, no further one begins
    return [outcomes[number] for number in range(len(items))]


def _batch_error(failures: Sequence[EnvyError]) -> EnvyError:
    first = next((failure for failure in failures if isinstance(failure, Cancelled)), failures[0])
    others = [failure for failure in failures if failure is not first]
    if isinstance(first, FetchError) and others:
        first.message += "".join(f"\nand {other.message}" for other in others)
        first.args = (first.message,)
    return first
