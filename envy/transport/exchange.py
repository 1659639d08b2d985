"""One request and its answer on a connection that urllib3 makes and keeps.

Owns the usual case of a GET: a request of printable ASCII is sent with one call, and an answer with
a plain head and a known length is read in as few calls as the system allows. Everything else is
left to urllib3 and http.client as if they had read all of it: other methods, proxies, chunks, and
each head that differs in any way from what is expected here.
"""

import http.client
import io
import re
import socket
import ssl
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, cast

from urllib3 import HTTPConnectionPool, HTTPHeaderDict, HTTPResponse, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError, IncompleteRead, ProtocolError, ReadTimeoutError, SSLError

from envy.transport.turns import give_turn, take_turn

if TYPE_CHECKING:
    from urllib3.response import BaseHTTPResponse

_FIRST = 1 << 16  # bytes that are received at once with the head
_SMALL = 1 << 20  # bytes of content that are worth a turn
_LONGEST_HEAD = 1 << 16
_is_target = re.compile(r"/[\x21-\x7e]*").fullmatch
_is_name = re.compile(r"[-!#$%&'*+.^_`|~0-9A-Za-z]+").fullmatch
_STATUS = {"HTTP/1.1 200": 200, "HTTP/1.1 206": 206}
_MOST_DIGITS = 18


class PlainAnswer:
    """An answer with a plain head, whose content has a known length and is not read yet.

    It has what envy uses of a response of urllib3, and raises the same errors.
    """

    retries: object = None
    version_string = "HTTP/1.1"

    def __init__(
        self, connection: "_Exchange", status: int, headers: dict[str, str], begun: bytes, size: int
    ) -> None:
        self.status = status
        self.headers = headers
        self._received = begun[:size]
        self._left = size - len(self._received)
        self._keeps = len(begun) <= size and headers.get("connection", "").lower() != "close"
        self._is_small = size <= _SMALL
        self._read = 0
        # What urllib3 sets once it has the answer.
        self._connection: _Exchange | None = connection
        self._pool: HTTPConnectionPool | None = None

    @property
    def length_remaining(self) -> int:
        return self._left + len(self._received)

    def get_redirect_location(self) -> Literal[False]:
        """Return that it redirects nowhere."""
        return False

    def read1(self, amount: int, **_: object) -> bytes:
        """Return some bytes of the content, after at most one call to the system; b"": its end.

        Raises:
            urllib3.exceptions.HTTPError: the connection is broken, or too slow.
        """
        if not self._received:
            buffer = bytearray(min(amount, self._left))
            return bytes(memoryview(buffer)[: self.receive_into(buffer)])
        data, self._received = self._received[:amount], self._received[amount:]
        self._read += len(data)
        if not self._left:
            self._release()
        return data

    def receive_into(self, buffer: bytearray) -> int:
        """Receive some bytes of the content at the beginning of a buffer, and return how many.

        Raises:
            urllib3.exceptions.HTTPError: as for `read1`.
        """
        if self._received:
            data = self.read1(len(buffer))
            buffer[: len(data)] = data
            return len(data)
        count = self._receive(buffer, min(len(buffer), self._left)) if self._left else 0
        if not self._left:
            self._release()
        self._read += count
        return count

    def read(self, amount: int, **_: object) -> bytes:
        """Return so many bytes of the content, or the rest of it."""
        parts = []
        while amount and (data := self.read1(amount)):
            parts.append(data)
            amount -= len(data)
        return b"".join(parts)

    def close(self) -> None:
        """Close the connection, unless the whole content was read from it."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        self._received, self._left = b"", 0

    def shutdown(self) -> None:
        """End all reads, also one that another thread waits in; what they bring is nothing.

        Raises:
            OSError: the connection is broken.
        """
        connection = self._connection
        if connection is not None and connection.sock is not None:
            connection.sock.shutdown(socket.SHUT_RD)

    def _receive(self, buffer: bytearray, most: int) -> int:
        assert self._connection is not None, "something is left"
        try:
            give_turn()
            connected: Any = self._connection.sock
            count = cast("int", connected.recv_into(buffer, most))
            if 0 < count < most and isinstance(connected, ssl.SSLSocket):
                count = _received_at_once(connected, buffer, count, most)
            if self._is_small:
                take_turn()
            if not count:
                raise IncompleteRead(self._read, self._left)
        except (OSError, IncompleteRead) as error:
            self._connection.close()
            raise _as_urllib3(error, self._pool, "Connection broken") from error
        self._left -= count
        return count

    def _release(self) -> None:
        connection, self._connection = self._connection, None
        if connection is None:
            return
        if not self._keeps or _has_more(connection.sock):
            connection.close()
        if self._pool is not None:
            self._pool._put_conn(cast("Any", connection))  # noqa: SLF001


def _received_at_once(connected: ssl.SSLSocket, buffer: bytearray, count: int, most: int) -> int:
    """Receive what else has arrived, and return how much there is: a call brings 16 KiB at most."""
    timeout = connected.gettimeout()
    view = memoryview(buffer)
    connected.settimeout(0)
    try:
        while count < most and (more := connected.recv_into(view[count:most])):
            count += more
    except OSError:
        pass  # nothing more is there, or the next call fails as well
    finally:
        connected.settimeout(timeout)
    return count


def _has_more(connected: Any) -> bool:
    """Return whether an encrypted connection brought bytes after the content; others show it."""
    return isinstance(connected, ssl.SSLSocket) and connected.pending() > 0


class _Exchange(HTTPConnection):
    """A connection that sends plain requests, and reads plain answers, by itself."""

    _asked = ""  # the target of the plain request whose answer comes next
    _sent: tuple[dict[str, str], str] | None = None  # the headers sent last, and their lines

    def request(self, method: str, url: str, **options: Any) -> None:  # type: ignore[override]
        head = self._head(method, url, **options)
        if head is None:
            self._asked = ""
            super().request(method, url, **options)
            return
        if self.sock is None:
            self.connect()
        elif self.sock.gettimeout() != self.timeout:
            self.sock.settimeout(self.timeout)
        self._asked = url
        self.sock.sendall(head)

    def getresponse(self) -> "HTTPResponse | PlainAnswer":  # type: ignore[override]
        asked, self._asked = self._asked, ""
        if not asked:
            return super().getresponse()
        if self.sock.gettimeout() != self.timeout:
            self.sock.settimeout(self.timeout)
        give_turn()
        data = begun = cast("bytes", self.sock.recv(_FIRST))
        while data and (end := begun.find(b"\r\n\r\n")) < 0 and len(begun) < _LONGEST_HEAD:
            if b"\n\n" in begun or b"\n\r\n" in begun:
                break  # lines without \r, which the library reads
            data = self.sock.recv(_FIRST)
            begun += data
        take_turn()
        found = plain_head(begun[:end]) if data and end >= 0 else None
        if found is None:
            return self._by_library(asked, begun)
        return PlainAnswer(self, *found[:2], begun[end + 4 :], found[2])

    def _head(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: object = None,
        chunked: bool = False,
        preload_content: bool = True,
        decode_content: bool = True,
        **_: object,
    ) -> bytes | None:
        """Return the head of a plain request that wants the content as it is; else None."""
        if method != "GET" or body is not None or chunked or preload_content or decode_content:
            return None
        if self.proxy is not None or headers is None or not _is_target(url):
            return None
        if self._sent is None or self._sent[0] != headers:
            self._sent = dict(headers), self._lines(headers)
        lines = self._sent[1]
        return f"GET {url} HTTP/1.1\r\n{lines}\r\n".encode("ascii") if lines else None

    def _lines(self, headers: Mapping[str, str]) -> str:
        """Return the lines of headers to this host; "" if they are not plain."""
        host = self.host if self.port == self.default_port else f"{self.host}:{self.port}"
        lines = [f"Host: {host}", *(f"{name}: {value}" for name, value in headers.items())]
        together = "".join(lines)
        is_plain = together.isascii() and together.isprintable() and host.count(":") < 2
        if not is_plain or not all(map(_is_name, headers)) or "host" in map(str.lower, headers):
            return ""
        return "\r\n".join((*lines, ""))

    def _by_library(self, asked: str, begun: bytes) -> HTTPResponse:
        """Return an answer of which some bytes were received as http.client reads it."""
        give_turn()
        beginning = cast("Any", _Beginning(self.sock, begun))
        answer = http.client.HTTPResponse(beginning, method="GET")
        try:
            answer.begin()
        except BaseException:
            answer.close()
            raise
        if answer.will_close:
            self.close()  # the answer still has what it reads from
        return HTTPResponse(
            body=answer,
            headers=HTTPHeaderDict(answer.msg.items()),
            status=answer.status,
            version=answer.version,
            reason=answer.reason,
            preload_content=False,
            decode_content=False,
            original_response=answer,
            request_method="GET",
            request_url=asked,
        )


class _SecureExchange(_Exchange, HTTPSConnection):
    pass


class PlainPool(HTTPConnectionPool):
    """Connections to an http server."""

    ConnectionCls = cast("Any", _Exchange)


class SecurePool(HTTPSConnectionPool):
    """Connections to an https server."""

    ConnectionCls = cast("Any", _SecureExchange)


POOLS = {"http": PlainPool, "https": SecurePool}


def get_by_kept(
    pool: HTTPConnectionPool, target: str, headers: Mapping[str, str]
) -> "BaseHTTPResponse | None":
    """Send a GET on a connection that is kept, and return the answer; None: there is none.

    The pool's own method does the same at three times the cost, and makes connections, too.

    Raises:
        urllib3.exceptions.HTTPError: there is no answer.
    """
    connection: Any = pool._get_conn()  # noqa: SLF001 (it sees whether the server has closed one)
    if connection.is_closed or not isinstance(connection, _Exchange):
        pool._put_conn(connection)  # noqa: SLF001
        return None
    try:
        connection.request(
            "GET", target, headers=headers, preload_content=False, decode_content=False
        )
        answer: Any = connection.getresponse()
    except (OSError, http.client.HTTPException) as error:
        connection.close()
        raise _as_urllib3(error, pool, "Connection aborted") from error
    except BaseException:
        connection.close()
        raise
    answer._connection, answer._pool = connection, pool  # noqa: SLF001
    return cast("BaseHTTPResponse", answer)


def plain_head(head: bytes) -> tuple[int, dict[str, str], int] | None:
    """Return the status, the headers by lower-case name and the length of the content.

    None: the head is not that of a usual answer with content of a known length.
    """
    if not head.isascii():
        return None
    first, *lines = head.decode("ascii").split("\r\n")
    status = _STATUS.get(first[:12])
    if status is None or first[12:13] not in {"", " "} or not "".join(lines).isprintable():
        return None
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not _is_name(name):
            return None
        headers[name.lower()] = value.strip(" ")
    length = headers.get("content-length", "")
    is_plain = (
        len(headers) == len(lines)  # each name once
        and first.isprintable()
        and length.isdigit()
        and len(length) <= _MOST_DIGITS
        and "transfer-encoding" not in headers
        and headers.get("connection", "close").lower() in {"close", "keep-alive"}
    )
    return (status, headers, int(length)) if is_plain else None


def _as_urllib3(error: Exception, pool: HTTPConnectionPool | None, what: str) -> HTTPError:
    """Return the error that urllib3 raises in place of one of the system."""
    if isinstance(error, TimeoutError):
        return ReadTimeoutError(cast("HTTPConnectionPool", pool), "", "Read timed out.")
    if isinstance(error, ssl.SSLError):
        return SSLError(error)
    return ProtocolError(f"{what}: {error!r}", error)


class _Beginning(io.RawIOBase):
    """A socket as http.client reads it, of which some bytes have been received."""

    def __init__(self, connected: Any, begun: bytes) -> None:
        self._begun = begun
        self._rest: io.RawIOBase = connected.makefile("rb", buffering=0)

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(self)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if not self._begun:
            return cast("int | None", self._rest.readinto(buffer))
        size = min(len(buffer), len(self._begun))
        buffer[:size], self._begun = self._begun[:size], self._begun[size:]
        return size

    def close(self) -> None:
        self._rest.close()
        super().close()
