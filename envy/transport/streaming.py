"""The stream of one download: its connections, one after the other, until the content is complete.

Owns what happens when a connection breaks, or an answer does not continue what is there.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from envy.errors import FetchError
from envy.transport.addresses import redacted
from envy.transport.connection import get, request_error
from envy.transport.content_encoding import settle
from envy.transport.context import FetchContext
from envy.transport.digests import ExpectedDigest, Hasher, check_size
from envy.transport.idle import Pace, TooSlow, idle_seconds
from envy.transport.part_file import PartFile, part_file
from envy.transport.retries import Retries

if TYPE_CHECKING:
    from urllib3.response import BaseHTTPResponse

_CHUNK = 1 << 18
_BREAKS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is requested, and the digests that the content must have; without any, it is new."""

    url: str
    headers: Mapping[str, str]
    certificates: str = ""
    expected: Sequence[ExpectedDigest] = ()

    @property
    def uri(self) -> str:
        """The URL without credentials."""
        return redacted(self.url)


def stream(request: Request, part: Path, context: FetchContext, *, name: str) -> Hasher:
    """Download to the file `part`, decoded as the file `name` has to be; return the digests.

    They are not verified: the file may have others than expected.

    Raises:
        FetchError: the content cannot be downloaded.
    """
    with part_file(part, request.uri, request.expected, context) as content:
        if not _is_whole(request, content):
            _download(request, content, context)
            if content.taken and request.expected and not content.hasher.matches():
                # Perhaps what an earlier process left is damaged.
                content.start_over()
                _download(request, content, context)
        content.place()
        if not content.encoding:
            return content.hasher
        return settle(
            part,
            content.hasher,
            content.encoding,
            name=name,
            expected=request.expected,
            uri=request.uri,
        )


def _is_whole(request: Request, content: PartFile) -> bool:
    """Return whether an earlier process left the whole content; what is wrong is forgotten."""
    if not content.done or content.done < content.total:
        return False
    if request.expected and content.hasher.matches():
        return True
    content.start_over()
    return False


def _download(request: Request, content: PartFile, context: FetchContext) -> None:
    from urllib3.exceptions import HTTPError, ReadTimeoutError

    breaks = 0
    retries = Retries(context)
    while True:
        before = content.done
        try:
            _download_rest(request, content, context)
        except (HTTPError, ConnectionError, TimeoutError) as error:
            if content.done == before:
                is_tried_again = retries.wait()
            else:
                breaks += 1
                is_tried_again = breaks <= _BREAKS
                if isinstance(error, (ReadTimeoutError, TooSlow)):
                    # Each time costs a minute, and perhaps another address has the file.
                    is_tried_again = is_tried_again and context.retries > 0
                retries = Retries(context)
            if not is_tried_again:
                raise request_error(request.url, error, context) from error
            if not content.version:
                content.start_over()  # this server cannot continue a download
        else:
            return


def _download_rest(request: Request, content: PartFile, context: FetchContext) -> None:
    """Download what is missing; start over if the server does not continue the content.

    Raises:
        urllib3.exceptions.HTTPError: the content is not complete.
    """
    from urllib3.exceptions import IncompleteRead

    headers = dict(request.headers)
    if content.done:
        headers |= {"range": f"bytes={content.done}-", "if-range": content.version}
    is_pinned = bool(request.expected)
    with get(
        request.url,
        context,
        headers=headers,
        certificates=request.certificates,
        is_pinned=is_pinned,
    ) as (response, _):
        if content.done and response.status != 206:
            content.start_over()
            if response.status == 416:
                raise IncompleteRead(0, content.total)
        if not content.done:
            content.begin(response.headers)
            if content.total:
                _check_size(request, content, content.total, is_all=True)
        elif not content.continues(response.headers):
            if not content.taken:
                raise _changed(request)
            content.start_over()
            raise IncompleteRead(0, content.total)
        _receive(response, request, content, context)
    if content.done != (content.total or content.done):
        # The server sent less than the range that was requested.
        raise IncompleteRead(content.done, content.total - content.done)
    context.progress(request.uri, content.done, content.total)


def _receive(
    response: "BaseHTTPResponse", request: Request, content: PartFile, context: FetchContext
) -> None:
    """Write what a response brings, and report it now and then."""
    reported = content.done
    pace = Pace(idle_seconds(context.environment))
    while data := response.read1(_CHUNK, decode_content=False):
        context.check_cancelled()
        content.write(data)
        pace.note(len(data))
        _check_size(request, content, content.done)
        if content.done - reported >= _CHUNK:
            reported = content.done
            context.progress(request.uri, content.done, content.total)


def _check_size(request: Request, content: PartFile, size: int, *, is_all: bool = False) -> None:
    # What is sent in an encoding has another size; what an earlier process left may be damaged.
    if not content.encoding and not content.taken:
        check_size(request.uri, size, request.expected, is_all=is_all)


def _changed(request: Request) -> FetchError:
    return FetchError(
        f"{request.uri} changed while it was being fetched", uri=request.uri, hint="try again"
    )
