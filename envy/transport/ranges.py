"""One large file over several connections: ranges, requested beside each other, written in order.

The file never has gaps, so an interrupted download goes on like any other. Owns when this is tried,
and the strict comparison of every answer; on any doubt, one connection goes on alone.
"""

import contextlib
import queue
import threading
import time
from collections import deque
from collections.abc import Generator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TYPE_CHECKING

from envy.content.arriving import AskFor, GivenUp
from envy.errors import Cancelled, EnvyError
from envy.transport.connection import get
from envy.transport.content_encoding import encoding_of
from envy.transport.context import CannotWrite, FetchContext, Ranges
from envy.transport.idle import Pace, idle_seconds
from envy.transport.part_file import PartFile, range_of, version_of
from envy.transport.request import Request

if TYPE_CHECKING:
    from urllib3.response import BaseHTTPResponse

_CHUNK = 1 << 19
_AHEAD = 2  # pieces that are requested before they can be written, beside one for each connection


class _NotAsAsked(Exception):
    """An answer that is not exactly the range that was requested."""


def is_worth_it(settings: Ranges, content: PartFile, *, received: int, seconds: float) -> bool:
    """Return whether several connections may be faster than one that brought so much so far.

    A fast connection is kept: with more of them, this machine would be what is slow.
    """
    if not content.version or content.encoding or settings.connections < 2:
        return False
    left = content.total - content.done
    if left < settings.least or seconds < settings.after:
        return False
    rate = received / max(seconds, 1e-9)
    return rate < settings.below and left > rate * settings.least_seconds


def download_ranges(
    request: Request, content: PartFile, context: FetchContext, *, rate: float
) -> None:
    """Download what is missing over several connections, as far as that goes well.

    It ends early if an answer is in doubt, or if all connections together are slower than the one
    before, which had `rate` bytes a second.

    Raises:
        Cancelled: the run was cancelled.
        CannotWrite: the disk is full.
    """
    from urllib3.exceptions import HTTPError

    settings = context.ranges
    source = _Source(
        request=request,
        version=content.version,
        total=content.total,
        context=replace(context, retries=0),
        ended=threading.Event(),
    )
    began, first = time.monotonic(), content.done
    try:
        with contextlib.closing(_pieces(source, content.done, settings)) as pieces:
            for data in pieces:
                context.check_cancelled()
                content.write(data)
                context.progress(request.uri, content.done, content.total)
                seconds = time.monotonic() - began
                if seconds > settings.trial and (content.done - first) / seconds < rate:
                    return
    except (Cancelled, CannotWrite):
        raise
    except (EnvyError, _NotAsAsked, OSError, HTTPError):
        return


def ask_range(
    request: Request, content: PartFile, context: FetchContext, ended: threading.Event
) -> AskFor:
    """Return what requests a part of the content beside its download; it raises GivenUp.

    An answer that is still arriving when it has `ended` is not read to its end.
    """
    from urllib3.exceptions import HTTPError

    source = _Source(
        request=request,
        version=content.version,
        total=content.total,
        context=replace(context, retries=0),
        ended=ended,
    )

    def ask(start: int, stop: int) -> bytes:
        if not source.version or context.ranges.connections < 2:
            raise GivenUp
        try:
            return _piece(source, start, stop)
        except (EnvyError, _NotAsAsked, OSError, HTTPError):
            raise GivenUp from None

    return ask


@dataclass(frozen=True, slots=True, kw_only=True)
class _Source:
    """What all pieces of one file have in common; `ended` says that no more are needed."""

    request: Request
    version: str
    total: int
    context: FetchContext
    ended: threading.Event
    arriving: set["BaseHTTPResponse"] = field(default_factory=set)
    changing: threading.Lock = field(default_factory=threading.Lock)

    @contextlib.contextmanager
    def reading(self, response: "BaseHTTPResponse") -> Generator[None, None, None]:
        """Read an answer, unless all has ended; it is cut off when that happens."""
        with self.changing:
            if self.ended.is_set():
                raise _NotAsAsked
            self.arriving.add(response)
        try:
            yield
        finally:
            with self.changing:
                self.arriving.discard(response)

    def end(self) -> None:
        """End the answers that are still arriving: a server may send nothing any more."""
        with self.changing:
            self.ended.set()
            for response in self.arriving:
                # To close the socket would not wake up who reads from it.
                with contextlib.suppress(AttributeError, OSError, RuntimeError, ValueError):
                    response.shutdown()


_Task = tuple[Future[bytes], int, int]


def _pieces(source: _Source, start: int, settings: Ranges) -> Generator[bytes, None, None]:
    """Yield the pieces from `start` on, in order; some are being requested at any time."""
    starts = iter(range(start, source.total, settings.piece))
    tasks: queue.SimpleQueue[_Task | None] = queue.SimpleQueue()
    waiting: deque[Future[bytes]] = deque()

    def request_more(count: int) -> None:
        for at in islice(starts, count):
            waiting.append(Future())
            tasks.put((waiting[-1], at, min(at + settings.piece, source.total)))

    try:
        for _ in range(settings.connections):
            # Nobody waits for one that waits for a server: neither this, nor the process's end.
            threading.Thread(
                target=_run, args=(source, tasks), name="envy-range", daemon=True
            ).start()
        request_more(settings.connections + _AHEAD)
        while waiting:
            yield waiting.popleft().result()
            request_more(1)
    finally:
        source.end()
        for future in waiting:
            future.cancel()
        for _ in range(settings.connections):
            tasks.put(None)


def _run(source: _Source, tasks: "queue.SimpleQueue[_Task | None]") -> None:
    while (task := tasks.get()) is not None:
        future, start, stop = task
        if future.set_running_or_notify_cancel():
            try:
                if source.ended.is_set():
                    raise _NotAsAsked
                data = _piece(source, start, stop)
            except BaseException as error:  # noqa: BLE001 - for who waits for it
                future.set_exception(error)
            else:
                future.set_result(data)
            del future, task  # an idle thread keeps no piece


def _piece(source: _Source, start: int, stop: int) -> bytes:
    request, context = source.request, source.context
    wanted = {"range": f"bytes={start}-{stop - 1}", "if-range": source.version}
    with (
        get(
            request.address,
            context,
            headers={**request.headers, **wanted},
            certificates=request.certificates,
            is_pinned=bool(request.expected),
            signed_for=request.signed_for,
        ) as (response, _),
        source.reading(response),
    ):
        headers = response.headers
        if response.status != 206 or not _is_piece(source, headers, start, stop):
            raise _NotAsAsked
        parts, size = [], 0
        pace = Pace(idle_seconds(context.environment))
        while data := context.waiting(lambda: response.read1(_CHUNK, decode_content=False)):
            context.moved(len(data))
            context.check_cancelled()
            pace.note(len(data))
            parts.append(data)
            size += len(data)
            if size > stop - start or source.ended.is_set():
                raise _NotAsAsked
        if size != stop - start:
            raise _NotAsAsked
        return b"".join(parts)


def _is_piece(source: _Source, headers: Mapping[str, str], start: int, stop: int) -> bool:
    """Return whether an answer is a piece, and of the same version."""
    # An answer with a part may leave out that the server can send parts.
    version = version_of({
        "accept-ranges": "bytes",
        **{name: headers.get(name, "") for name in ("etag", "last-modified", "date")},
    })  # fmt: skip
    return (
        range_of(headers.get("content-range", "")) == (start, stop - 1, source.total)
        and version == source.version
        and not encoding_of(headers.get("content-encoding", ""))
    )
