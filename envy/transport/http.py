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
from envy.transport.context import FetchContext, Fetched
from envy.transport.digests import ExpectedDigest, Hasher, expected_digests
from envy.transport.target import make_executable, reusable, target_in

if TYPE_CHECKING:
    from urllib3.response import BaseHTTPResponse

_CHUNK = 1 << 18
_BREAKS = 5
_LARGEST_PAGE = 256 << 20


def fetch_http(item: SourceItem, into: Path, context: FetchContext) -> Fetched:
    """Download one file."""
    return download(
        item.source,
        target_in(into, file_name(item)),
        context,
        expected=expected_digests(item),
        executable=item.executable,
    )


def download(
    url: str,
    target: Path,
    context: FetchContext,
    *,
    expected: Sequence[ExpectedDigest],
    headers: Mapping[str, str] | None = None,
    certificates: str = "",
    executable: bool = False,
) -> Fetched:
    """Download a URL to `target`, unless a file with the expected digests exists there."""
    fetched = reusable(target, redacted(url), expected)
    if fetched is None:
        request = _Request(
            url=url,
            headers=headers or {},
            certificates=certificates,
            is_pinned=bool(expected),
        )
        with written_whole(target) as part:
            hasher = Hasher(expected)
            size = _download_part(request, part, hasher, context)
            verified = hasher.verify(redacted(url))
        fetched = Fetched(
            path=target, bytes=size, sha256=hasher.sha256, uri=redacted(url), verified=verified
        )
    if executable:
        make_executable(target)
    return fetched


def read_page(
    url: str, context: FetchContext, *, headers: Mapping[str, str], certificates: str = ""
) -> tuple[bytes, str, str]:
    """Read a small resource; returns (content, content type, final URL)."""
    import urllib3

    with get(url, context, headers=headers, certificates=certificates) as (response, final):
        try:
            body = response.read(_LARGEST_PAGE, decode_content=True)
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise request_error(url, error, context) from error
        return body, response.headers.get("content-type", ""), final


@dataclass(frozen=True, slots=True, kw_only=True)
class _Request:
    url: str
    headers: Mapping[str, str]
    certificates: str
    is_pinned: bool


@dataclass(slots=True)
class _Progress:
    """The progress of a download, over all its connections."""

    done: int = 0
    total: int = 0
    reported: int = 0
    # The server's name for this version of the content; "" if the download cannot be continued.
    version: str = ""


def _download_part(request: _Request, part: Path, hasher: Hasher, context: FetchContext) -> int:
    import urllib3

    progress = _Progress()
    breaks = 0
    with part.open("wb") as file:
        while True:
            before = progress.done
            try:
                _download_rest(request, file, hasher, progress, context)
            except urllib3.exceptions.HTTPError as error:
                breaks += 1
                if progress.done == before or breaks > _BREAKS:
                    raise request_error(request.url, error, context) from error
                if not progress.version:
                    # This server cannot continue a download.
                    file.seek(0)
                    file.truncate()
                    hasher.restart()
                    progress = _Progress()
            else:
                return progress.done


def _download_rest(
    request: _Request,
    file: BinaryIO,
    hasher: Hasher,
    progress: _Progress,
    context: FetchContext,
) -> None:
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
        _check_continues(response, request, progress)
        while data := response.read1(_CHUNK, decode_content=False):
            context.check_cancelled()
            hasher.update(data)
            _write(file, data, request)
            progress.done += len(data)
            _report(request, progress, context)
    _report(request, progress, context, is_end=True)


def _check_continues(response: "BaseHTTPResponse", request: _Request, progress: _Progress) -> None:
    if not progress.done:
        progress.total = int(response.headers.get("content-length") or 0)
        is_able = response.headers.get("accept-ranges", "").lower() == "bytes"
        tag = response.headers.get("etag", "")
        # A weak tag does not guarantee the same bytes.
        strong = tag if tag and not tag.startswith("W/") else ""
        progress.version = strong or response.headers.get("last-modified", "")
        progress.version = progress.version if is_able else ""
        return
    range_given = response.headers.get("content-range", "")
    if response.status != 206 or not range_given.startswith(f"bytes {progress.done}-"):
        raise FetchError(
            f"{redacted(request.url)} changed while it was being fetched",
            uri=redacted(request.url),
            hint="try again",
        )


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
