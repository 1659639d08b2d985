"""The stream of one download: its connections, one after the other, until the content is complete.

Owns what happens when a connection breaks, or an answer does not continue what is there.
"""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from envy.errors import FetchError
from envy.transport.connection import get, is_cut, request_error
from envy.transport.content_encoding import settle
from envy.transport.context import FetchContext
from envy.transport.digests import Hasher, check_size
from envy.transport.idle import Pace, TooSlow, idle_seconds
from envy.transport.part_file import PartFile, part_file
from envy.transport.ranges import ask_range, download_ranges, is_worth_it
from envy.transport.request import Request
from envy.transport.retries import Retries

if TYPE_CHECKING:
    from urllib3.response import BaseHTTPResponse

_CHUNK = 1 << 19
_BREAKS = 5


def stream(request: Request, part: Path, context: FetchContext, name: str) -> Hasher:
    """Download to the file `part`, decoded as the file `name` has to be; return the digests.

    They are not verified: the file may have others than expected.

    Raises:
        FetchError: the content cannot be downloaded.
    """
    with part_file(part, request.uri, request.expected, context) as content:
        content.take_up(context)
        if not _is_whole(request, content):
            _download(request, content, context)
            if content.taken and request.expected and not content.hasher.matches():
                # Perhaps what an earlier process left is damaged.
                content.start_over()
                _download(request, content, context)
        content.place()
        if not content.encoding:
            content.end_for_readers()
            return content.hasher
        return settle(
            part,
            content.hasher,
            content.encoding,
            name=name,
            expected=request.expected,
            uri=request.uri,
        )


def read_beginning(request: Request, size: int, context: FetchContext) -> bytes:
    """Return the first `size` bytes of a content, or all of it; the request has the range.

    Raises:
        FetchError: it cannot be read.
    """
    from urllib3.exceptions import HTTPError

    pace = Pace(idle_seconds(context.environment))
    data = bytearray()
    try:
        with get(
            request.address,
            context,
            headers=request.headers,
            certificates=request.certificates,
            signed_for=request.signed_for,
        ) as (response, _):
            while len(data) < size and (
                piece := context.waiting(lambda: response.read1(_CHUNK, decode_content=False))
            ):
                context.moved(len(piece))
                context.check_cancelled()
                pace.note(len(piece))
                data += piece
    except (HTTPError, OSError, TooSlow) as error:
        raise request_error(request.url, error, context, signed_for=request.signed_for) from error
    return bytes(data[:size])


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

    breaks = stalls = 0
    retries = Retries(context)
    may_spread = True
    while True:
        before = content.done
        try:
            rate = _download_rest(request, content, context, may_spread=may_spread)
            if rate:
                may_spread = False
                download_ranges(request, content, context, rate=rate)
                if content.done < content.total:
                    continue
        except (HTTPError, ConnectionError, TimeoutError) as error:
            if content.done == before:
                is_tried_again = retries.wait()
            else:
                breaks += 1
                is_tried_again = breaks <= _BREAKS
                if isinstance(error, (ReadTimeoutError, TooSlow)):
                    # Each time costs a minute, and perhaps another address has the file.
                    stalls += 1
                    is_tried_again = is_tried_again and stalls <= context.retries
                retries = Retries(context)
            if not is_tried_again:
                raise request_error(
                    request.address, error, context, signed_for=request.signed_for
                ) from error
            if not content.version and not content.by_digest:
                content.start_over()  # this server cannot continue a download
        else:
            return


def _download_rest(
    request: Request, content: PartFile, context: FetchContext, *, may_spread: bool
) -> float:
    """Download what is missing; start over if the server does not continue the content.

    Returns 0.0 when the content is complete. If several connections may be faster, it stops and
    returns the rate of this one, in bytes a second.

    Raises:
        urllib3.exceptions.HTTPError: the content is not complete.
    """
    from urllib3.exceptions import IncompleteRead

    headers = dict(request.headers)
    if content.done:
        headers |= {"range": f"bytes={content.done}-"}
        headers |= {"if-range": content.version} if content.version else {}
    is_pinned = bool(request.expected)
    with get(
        request.address,
        context,
        headers=headers,
        certificates=request.certificates,
        is_pinned=is_pinned,
        signed_for=request.signed_for,
    ) as (response, _):
        if content.done and response.status != 206:
            content.start_over()
            if response.status == 416:
                raise IncompleteRead(0, content.total)
        if not content.done:
            content.begin(response.headers)
            _check_size(request, content, content.total, is_all=True)
        elif not content.continues(response.headers):
            if not content.taken:
                raise _changed(request)
            content.start_over()
            raise IncompleteRead(0, content.total)
        else:
            content.adopt(response.headers)
        rate = _read(response, request, content, context, may_spread=may_spread)
        if not content.done and is_cut(response):
            raise IncompleteRead(0, 0)
    if rate:
        return rate
    if content.done != (content.total or content.done):
        # The server sent less than the range that was requested.
        raise IncompleteRead(content.done, content.total - content.done)
    context.progress(request.uri, content.done, content.total)
    return 0.0


def _read(
    response: "BaseHTTPResponse",
    request: Request,
    content: PartFile,
    context: FetchContext,
    *,
    may_spread: bool,
) -> float:
    """Read the content of an answer; stop and return the rate if more connections may be faster."""
    reported = first = content.done
    began = time.monotonic()
    pace = Pace(idle_seconds(context.environment))
    while data := context.waiting(lambda: _receive(response, content)):
        context.moved(len(data))
        context.check_cancelled()
        content.write(data)
        pace.note(len(data))
        _check_size(request, content, content.done)
        if content.done - reported >= _CHUNK:
            reported = content.done
            context.progress(request.uri, content.done, content.total)
        received, seconds = content.done - first, time.monotonic() - began
        _let_follow(request, content, context, received=received, seconds=seconds)
        if may_spread and is_worth_it(context.ranges, content, received=received, seconds=seconds):
            return received / max(seconds, 1e-9)
    return 0.0


def _receive(response: "BaseHTTPResponse", content: PartFile) -> bytes | memoryview:
    """Return the next piece of an answer, in the buffer of a large content; b"": its end."""
    into: Callable[[bytearray], int] | None = getattr(response, "receive_into", None)
    buffer = content.buffer
    if into is None or buffer is None:
        return response.read1(_CHUNK, decode_content=False)
    return memoryview(buffer)[: into(buffer)]


def _let_follow(
    request: Request, content: PartFile, context: FetchContext, *, received: int, seconds: float
) -> None:
    """Let the content be read while the rest of it arrives, if somebody wants that now."""
    follower = request.follower
    if follower is None or content.encoding or not content.total:
        return
    if follower.wants(received=received, left=content.total - content.done, seconds=seconds):
        given_up = threading.Event()
        ask_for = ask_range(request, content, context, given_up)
        try:
            arriving = content.follow(ask_for, given_up)
        except OSError:
            return  # no descriptor is left; the download does not need one
        follower.start(arriving)


def _check_size(request: Request, content: PartFile, size: int, *, is_all: bool = False) -> None:
    # What is sent in an encoding has another size; what an earlier process left may be damaged.
    if size and not content.encoding and not content.taken:
        check_size(request.uri, size, request.expected, is_all=is_all)


def _changed(request: Request) -> FetchError:
    return FetchError(
        f"{request.uri} changed while it was being fetched", uri=request.uri, hint="try again"
    )
