"""Downloads by HTTP: verified while they stream, and continued after a broken connection.

Owns downloading one URL into one file, and reading small pages for the registries.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from envy.content.atomic import written_whole
from envy.declarations.sources import SourceItem, file_name
from envy.errors import FetchError
from envy.transport.addresses import redacted
from envy.transport.connection import get, request_error
from envy.transport.content_encoding import encoding_of, settle
from envy.transport.context import FetchContext, Fetched
from envy.transport.digests import ExpectedDigest, Hasher, check_size, wanted_digests
from envy.transport.kept import keep, take_kept
from envy.transport.page_body import read_body
from envy.transport.retries import Retries
from envy.transport.target import make_executable, reusable, target_in

if TYPE_CHECKING:
    from urllib3.response import BaseHTTPResponse

_CHUNK = 1 << 18
_BREAKS = 5
_NOT_KEPT = "without a digest in its recipe, it is not kept"


def fetch_http(item: SourceItem, into: Path, context: FetchContext) -> Fetched:
    """Download one file."""
    return download(
        item.source,
        target_in(into, file_name(item)),
        context,
        item=item,
        expected=wanted_digests(item, context),
    )


def download(
    url: str,
    target: Path,
    context: FetchContext,
    *,
    item: SourceItem,
    expected: Sequence[ExpectedDigest],
    headers: Mapping[str, str] | None = None,
    certificates: str = "",
) -> Fetched:
    """Download a URL to `target`, unless a file with the expected digests is there or is kept.

    A file that was verified is kept for later use.
    """
    uri = redacted(url)
    fetched = reusable(target, uri, expected)
    if fetched is None:
        fetched = take_kept(item, target, context, expected=expected, uri=uri)
    if fetched is None:
        # Before urllib3 is imported, which takes longer than anything else here.
        context.check_online(uri, hint="" if expected else _NOT_KEPT)
        request = _Request(
            url=url,
            headers=headers or {},
            certificates=certificates,
            is_pinned=bool(expected),
            expected=expected,
        )
        with written_whole(target) as part:
            hasher = Hasher(expected)
            encoding = _download_part(request, part, hasher, context)
            if encoding:
                hasher = settle(
                    part, hasher, encoding, name=target.name, expected=expected, uri=uri
                )
            verified = hasher.verify(uri)
            if verified:
                keep(part, hasher, item, target.name, context)
        fetched = Fetched(
            path=target,
            bytes=target.stat().st_size,
            sha256=hasher.sha256,
            uri=uri,
            verified=verified,
        )
    if item.executable:
        make_executable(target)
    return fetched


def read_page(
    url: str, context: FetchContext, *, headers: Mapping[str, str], certificates: str = ""
) -> tuple[bytes, str, str]:
    """Read a page or document of a registry; return (content, content type, final URL).

    Raises:
        FetchError: it cannot be read, or is larger than its limit.
    """
    context.check_online(redacted(url))
    import urllib3

    retries = Retries(context)
    while True:
        with get(url, context, headers=headers, certificates=certificates) as (response, final):
            try:
                body = read_body(response, redacted(final))
            except (urllib3.exceptions.HTTPError, OSError) as error:
                if not retries.wait():
                    raise request_error(url, error, context) from error
                continue
            return body, response.headers.get("content-type", ""), final


@dataclass(frozen=True, slots=True, kw_only=True)
class _Request:
    url: str
    headers: Mapping[str, str]
    certificates: str
    is_pinned: bool
    expected: Sequence[ExpectedDigest] = ()


@dataclass(slots=True)
class _Progress:
    """The progress of a download, over all its connections."""

    done: int = 0
    total: int = 0
    reported: int = 0
    # The server's name for this version of the content; "" if the download cannot be continued.
    version: str = ""
    encoding: str = ""


def _download_part(request: _Request, part: Path, hasher: Hasher, context: FetchContext) -> str:
    """Download the content as the server sends it; return its encoding, or ""."""
    import urllib3

    progress = _Progress()
    breaks = 0
    retries = Retries(context)
    with part.open("wb") as file:
        while True:
            before = progress.done
            try:
                _download_rest(request, file, hasher, progress, context)
            except urllib3.exceptions.HTTPError as error:
                if progress.done == before:
                    is_tried_again = retries.wait()
                else:
                    breaks += 1
                    is_tried_again = breaks <= _BREAKS
                    retries = Retries(context)
                if not is_tried_again:
                    raise request_error(request.url, error, context) from error
                if not progress.version:
                    # This server cannot continue a download.
                    _start_over(file, hasher, progress)
            else:
                return progress.encoding


def _start_over(file: BinaryIO, hasher: Hasher, progress: _Progress) -> None:
    file.seek(0)
    file.truncate()
    hasher.restart()
    progress.done = progress.reported = 0
    progress.version = ""


def _download_rest(
    request: _Request,
    file: BinaryIO,
    hasher: Hasher,
    progress: _Progress,
    context: FetchContext,
) -> None:
    """Download what is missing; start over if the server does not continue the content.

    Raises:
        urllib3.exceptions.HTTPError: the content is not complete.
    """
    from urllib3.exceptions import IncompleteRead

    headers = dict(request.headers)
    if progress.done:
        headers |= {"range": f"bytes={progress.done}-", "if-range": progress.version}
    with get(
        request.url,
        context,
        headers=headers,
        certificates=request.certificates,
        is_pinned=request.is_pinned,
    ) as (response, _):
        if progress.done and response.status != 206:
            _start_over(file, hasher, progress)
            if response.status == 416:
                raise IncompleteRead(0, progress.total)
        _check_continues(response, request, progress)
        while data := response.read1(_CHUNK, decode_content=False):
            context.check_cancelled()
            hasher.update(data)
            _write(file, data, request)
            progress.done += len(data)
            _check_size(request, progress, progress.done)
            _report(request, progress, context)
    if progress.done != (progress.total or progress.done):
        # The server sent less than the range that was requested.
        raise IncompleteRead(progress.done, progress.total - progress.done)
    _report(request, progress, context, is_end=True)


def _check_continues(response: "BaseHTTPResponse", request: _Request, progress: _Progress) -> None:
    tag = response.headers.get("etag", "")
    if not progress.done:
        progress.total = _number(response.headers.get("content-length", ""))
        progress.encoding = encoding_of(response.headers.get("content-encoding", ""))
        is_able = response.headers.get("accept-ranges", "").lower() == "bytes"
        # A weak tag does not guarantee the same bytes.
        strong = "" if tag.startswith("W/") else tag
        if progress.total:
            _check_size(request, progress, progress.total, is_all=True)
        version = strong or response.headers.get("last-modified", "")
        progress.version = version if is_able else ""
        return
    range_given = response.headers.get("content-range", "")
    total = _number(range_given.rpartition("/")[2]) or progress.total
    if (
        not range_given.startswith(f"bytes {progress.done}-")
        or total != (progress.total or total)
        or (progress.version.startswith('"') and tag not in {"", progress.version})
    ):
        raise FetchError(
            f"{redacted(request.url)} changed while it was being fetched",
            uri=redacted(request.url),
            hint="try again",
        )


def _check_size(request: _Request, progress: _Progress, size: int, *, is_all: bool = False) -> None:
    # What is sent in an encoding has another size.
    if not progress.encoding:
        check_size(redacted(request.url), size, request.expected, is_all=is_all)


def _number(text: str) -> int:
    return int(text) if len(text) < 20 and text.isascii() and text.isdigit() else 0


def _write(file: BinaryIO, data: bytes, request: _Request) -> None:
    try:
        file.write(data)
    except OSError as error:
        raise FetchError(
            f"cannot write the content of {redacted(request.url)} to {file.name}: {error.strerror}",
            uri=redacted(request.url),
            hint="free some space on that disk, or move the cache with --cache-root",
        ) from error


def _report(
    request: _Request, progress: _Progress, context: FetchContext, *, is_end: bool = False
) -> None:
    if is_end or progress.done - progress.reported >= _CHUNK:
        progress.reported = progress.done
        context.progress(redacted(request.url), progress.done, progress.total)
