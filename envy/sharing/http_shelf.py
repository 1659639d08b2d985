"""Depots on an HTTP server: GET reads an object, PUT with `If-None-Match: *` stores one (RFC 9110).

Any server that serves files will do for reading. For writing, it needs PUT and DELETE, as in WebDAV
(RFC 4918) and most artifact servers.
"""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from envy.declarations.depots import Depot
from envy.errors import Cancelled, FetchError, UsageError
from envy.sharing.shelf import ReadOnly, StoredObject
from envy.sharing.waits import Waits
from envy.transport.addresses import redacted
from envy.transport.context import FetchContext, NoAnswer, NotFound, Result
from envy.transport.credentials import headers_of
from envy.transport.idle import idle_seconds
from envy.transport.request import Request
from envy.transport.s3 import SignedMethod
from envy.transport.sending import send
from envy.transport.streaming import read_beginning, stream

_IN_ALL = 1.25  # times the idle timeout; what is under way then ends within another one
_STORED = frozenset({200, 201, 204})
_THERE = 412  # "If-None-Match: *" does not hold
_NO_FOLDER = frozenset({404, 409})  # what WebDAV says of a PUT into a folder that is not there
_FOLDER_IS_THERE = frozenset({200, 201, 204, 301, 302, 307, 308, 405})
_REMOVED = frozenset({200, 202, 204, 404, 410})
_REFUSED = {
    401: "requires credentials",
    403: "does not allow this user to write",
    405: "takes no objects: it serves files only",
    501: "takes no objects: it serves files only",
    507: "is full",
}


def _nothing() -> None:
    """End nothing: a request looks itself whether it is to go on."""


class HttpShelf:
    """A server with objects below a URL."""

    _how_to = "give credentials in ~/.netrc, or by `auth` beside the depot's `url` in envy.lua"

    def __init__(self, depot: Depot) -> None:
        self.shown = redacted(depot.url)
        self._depot = depot
        self._waits = Waits(self.shown, in_all=_IN_ALL)

    @contextlib.contextmanager
    def _asking(self, context: FetchContext) -> Iterator[FetchContext]:
        """Yield a context for one request, which ends when the server costs too much in all.

        Raises:
            NoAnswer: it does, or did before.
        """
        waits = self._waits
        waits.patience = idle_seconds(context.environment)
        waits.check()
        asked = replace(
            context,
            cancelled=lambda: context.cancelled() or not waits.left(),
            waiting=self._wait,
            pause=lambda seconds: self._wait(lambda: context.pause(min(seconds, waits.left()))),
            moved=waits.note,
        )
        try:
            yield asked
            waits.answered()
        except NotFound:
            waits.answered()
            raise
        except Cancelled:
            context.check_cancelled()
            waits.check()
            raise NoAnswer(f"{self.shown} did not answer in time", uri=self.shown) from None

    def _wait(self, wait: Callable[[], Result], /) -> Result:
        begun = self._waits.begin(_nothing)
        try:
            return wait()
        finally:
            self._waits.done(begun)

    @contextlib.contextmanager
    def open(self, name: str, into: Path, context: FetchContext) -> Iterator[Path]:
        """Download the object into a file in `into`, which is removed afterwards."""
        request = self._request(name, context)
        into.mkdir(parents=True, exist_ok=True)
        path = into / "envy-depot-object"
        try:
            with self._asking(context) as asked:
                self._download(request, path, asked)
            yield path
        finally:
            path.unlink(missing_ok=True)

    @contextlib.contextmanager
    def beginning(self, name: str, size: int, into: Path, context: FetchContext) -> Iterator[Path]:
        """Request the first bytes; a server that sends all is not listened to for longer."""
        request = self._request(name, context)
        headers = {**request.headers, "range": f"bytes=0-{size - 1}"}
        into.mkdir(parents=True, exist_ok=True)
        path = into / "envy-depot-beginning"
        with self._asking(context) as asked:
            data = self._beginning(replace(request, headers=headers), size, asked)
        path.write_bytes(data)
        yield path

    def has(self, name: str, context: FetchContext) -> bool:
        """Ask for the head of the object."""
        return self._send("HEAD", name, context) == 200

    def store(self, name: str, content: Path, context: FetchContext) -> bool:
        """Upload the object, unless the server has one with this name; make folders for it."""
        status = self._send("PUT", name, context, body=content)
        if status in _NO_FOLDER:
            # Or another writer is storing it at this moment.
            if self.has(name, context):
                return False
            if self._makes_room(status, name, context):
                status = self._send("PUT", name, context, body=content)
        if status == _THERE or (status in _NO_FOLDER and self.has(name, context)):
            return False
        if status not in _STORED:
            raise self._refused(status, f"storing {name}")
        return True

    def listed(self, context: FetchContext) -> Iterator[StoredObject]:
        """Fail: HTTP has no list of what a server has."""
        del context
        raise UsageError(
            f"the objects of {self.shown} cannot be listed over HTTP",
            hint="run this where the files are, with --depot file:///FOLDER",
        )

    def remove(self, name: str, context: FetchContext) -> None:
        """Delete the object."""
        status = self._send("DELETE", name, context)
        if status not in _REMOVED:
            raise self._refused(status, f"removing {name}")

    def _send(
        self, method: SignedMethod, name: str, context: FetchContext, *, body: Path | None = None
    ) -> int:
        """Send a request for an object, and return the status."""
        url, headers = self._addressed(method, name, context)
        if body is not None:
            headers |= {"if-none-match": "*", "content-type": "application/zstd"}
        with self._asking(context) as asked:
            return send(method, url, asked, headers=headers, body=body)

    def _makes_room(self, status: int, name: str, context: FetchContext) -> bool:
        """Make the folders of an object, as WebDAV demands; return whether the server has them.

        Raises:
            FetchError: the server does not answer.
        """
        del status
        folders = [""]
        for part in name.split("/")[:-1]:
            folders.append(f"{folders[-1]}{part}/")
        for folder in folders:
            url, headers = self._addressed("PUT", folder, context)
            with self._asking(context) as asked:
                made = send("MKCOL", url, asked, headers=headers)
            # Of the depot's own folder, its server may say what it wants, if it takes those in it.
            if made not in _FOLDER_IS_THERE and folder:
                return False
        return True

    def _request(self, name: str, context: FetchContext) -> Request:
        url, headers = self._addressed("GET", name, context)
        return Request(url=url, uri=redacted(url), headers=headers)

    def _beginning(self, request: Request, size: int, context: FetchContext) -> bytes:
        return read_beginning(request, size, context)

    def _download(self, request: Request, path: Path, context: FetchContext) -> None:
        stream(request, path, context, name=path.name)

    def _addressed(
        self, method: SignedMethod, name: str, context: FetchContext
    ) -> tuple[str, dict[str, str]]:
        """Return the address and the headers of a request."""
        del method
        url = f"{self._depot.url}/{name}"
        return url, dict(headers_of(self._depot.headers, url, context))

    def _refused(self, status: int, doing: str) -> FetchError:
        if status in _REFUSED:
            hint = self._how_to if status in {401, 403} else ""
            message = f"the depot {self.shown} {_REFUSED[status]} (HTTP {status})"
            return ReadOnly(message, uri=self.shown, hint=hint)
        if status == 413:  # which is about this object
            return FetchError(
                f"the depot {self.shown} takes no objects of this size: {doing} was refused "
                "(HTTP 413)",
                uri=self.shown,
            )
        return FetchError(f"the depot {self.shown} refused {doing} (HTTP {status})", uri=self.shown)
