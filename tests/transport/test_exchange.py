"""Requests and answers on connections that are kept."""

import contextlib
import random
import socket
import threading

import pytest
from loopback.http_server import Reply
from urllib3.exceptions import HTTPError

from envy.declarations.sources import SourceItem
from envy.errors import FetchError
from envy.transport import fetch_source
from envy.transport.exchange import PlainAnswer, plain_head
from envy.transport.pools import get_once, pool_for

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n"


@pytest.mark.parametrize(
    ("head", "found"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5", (200, {"content-length": "5"}, 5)),
        (b"HTTP/1.1 206\r\nContent-Length:0", (206, {"content-length": "0"}, 0)),
        (
            b'HTTP/1.1 200 OK\r\nETag:  "a: b" \r\ncontent-length: 007\r\nConnection: Close',
            (200, {"etag": '"a: b"', "content-length": "007", "connection": "Close"}, 7),
        ),
    ],
)
def test_plain_heads(head, found):
    """The names are in lower case, and the values without the blanks around them."""
    assert plain_head(head) == found


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"HTTP/1.1 200 OK",
        b"HTTP/1.0 200 OK\r\nContent-Length: 5",
        b"HTTP/1.1 2000 OK\r\nContent-Length: 5",
        b"HTTP/1.1 204 No\r\nContent-Length: 0",
        b"HTTP/1.1 302 Found\r\nContent-Length: 5\r\nLocation: /y",
        b"HTTP/1.1 200 \xe4\r\nContent-Length: 5",
        b"HTTP/1.1 200 a\nb\r\nContent-Length: 5",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked",
        b"HTTP/1.1 200 OK\r\nContent-Length: +5",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5, 5",
        b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 30,
        b"HTTP/1.1 200 OK\r\nContent-Length : 5",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\ncontent-length: 6",
        b"HTTP/1.1 200 OK\r\nContent-Length:\t5",
        b"HTTP/1.1 200 OK\r\n: 5\r\nContent-Length: 5",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n folded: 1",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nno colon",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX: a\rb",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX: a\nY: b",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX: a\0b",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: Upgrade",
    ],
)
def test_heads_for_the_library(head):
    """Everything that is not as usual is read by the library, which knows the rules."""
    assert plain_head(head) is None


class ScriptedServer:
    """Answers the requests on each connection with the next pieces of bytes, sent one by one."""

    def __init__(self):
        self.answers, self.requests, self.connections = [], [], 0
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listening.accept()
                self.connections += 1
                with connection, contextlib.suppress(OSError):
                    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    self._answer(connection)

    def _answer(self, connection):
        received = b""
        while self.answers:
            while not received.endswith(b"\r\n\r\n"):
                data = connection.recv(65536)
                if not data:
                    return
                received += data
            self.requests.append(received)
            received = b""
            pieces = self.answers.pop(0)
            for piece in pieces:
                connection.sendall(piece)
            if b"" in pieces:
                return

    def close(self):
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join(5)


@pytest.fixture
def server():
    scripted = ScriptedServer()
    yield scripted
    scripted.close()


def whole(response):
    """Read an answer to its end."""
    parts = []
    while data := response.read1(1 << 19, decode_content=False):
        parts.append(bytes(data))
    response.close()
    return b"".join(parts)


def test_answers_on_one_connection(server, recorder):
    """Answers of both kinds, in any pieces, leave the connection to the next request."""
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
    letters = [bytes([each]) for each in OK + b"\r\nhello"]
    server.answers = [
        [OK + b"\r\nhello"],
        letters,
        [chunked],
        [chunked[:40], chunked[40:]],
        [OK, b"\r\n", b"hel", b"lo"],
        [b"HTTP/1.1 100 Continue\r\n\r\n", OK + b"\r\nhello"],
        [b"HTTP/1.1 404 No\r\nContent-Length: 5\r\n\r\nhello"],
        [b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"],
        [OK + b"Connection: close\r\n\r\nhello", b""],
        [OK + b"\r\nhello"],
    ]
    context = recorder.context()
    sent = {"accept-encoding": "identity", "user-agent": "envy"}
    for number in range(10):
        response = get_once(f"{server.url}/a/{number}?b=c", context, sent, "")
        is_own = number not in {2, 3, 5, 6}
        assert isinstance(response, PlainAnswer) == is_own, number
        assert whole(response) == (b"" if number == 7 else b"hello"), number
    assert server.connections == 2
    host = server.url.removeprefix("http://").encode()
    assert server.requests[8] == (
        b"GET /a/8?b=c HTTP/1.1\r\nHost: " + host + b"\r\n"
        b"accept-encoding: identity\r\nuser-agent: envy\r\n\r\n"
    )


def test_more_than_the_content(server, recorder):
    """What follows the content is not taken for the next answer."""
    server.answers = [[OK + b"\r\nhello" + OK + b"\r\nworse"], [OK + b"\r\nright"]]
    context = recorder.context()
    assert whole(get_once(f"{server.url}/a", context, {}, "")) == b"hello"
    assert whole(get_once(f"{server.url}/b", context, {}, "")) == b"right"
    assert server.connections == 2


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\nContent-Length: 5\n\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\n\nhello",
    ],
)
def test_lines_that_end_without_a_carriage_return(server, recorder, answer):
    """Such a head has an end, too, though the server keeps the connection open."""
    server.answers = [[answer], [OK + b"\r\nworld"]]
    context = recorder.context(environment={"ENVY_IDLE_TIMEOUT": "300"})
    assert whole(get_once(f"{server.url}/a", context, {}, "")) == b"hello"


def test_content_in_a_buffer(server, recorder):
    """It is received where the caller has room, also what came with the head."""
    server.answers = [[OK + b"\r\nhe", b"llo"], [OK + b"\r\nworld"]]
    context = recorder.context()
    buffer, content = bytearray(3), b""
    response = get_once(f"{server.url}/a", context, {}, "")
    while count := response.receive_into(buffer):
        content += buffer[:count]
    assert content == b"hello"
    assert whole(get_once(f"{server.url}/b", context, {}, "")) == b"world"
    assert server.connections == 1


def test_an_answer_that_is_not_read_to_its_end(server, recorder):
    """Its connection is closed, and the rest is not taken for the next answer."""
    server.answers = [[OK + b"\r\nhe"], [OK + b"\r\nright"]]
    context = recorder.context()
    response = get_once(f"{server.url}/a", context, {}, "")
    assert response.read1(2) == b"he"
    response.close()
    assert whole(get_once(f"{server.url}/b", context, {}, "")) == b"right"


def test_a_kept_connection_breaks(server, recorder, tmp_path):
    """It is a break as any other: the file is requested again on a new connection."""
    server.answers = [[OK + b"\r\nhello"], [b""], [OK + b"\r\nhe", b""], [OK + b"\r\nworld"]]
    context = recorder.context()
    for name, content in (("a", b"hello"), ("b", b"world")):
        item = SourceItem(source=f"{server.url}/{name}", base_dir=tmp_path)
        assert fetch_source(item, tmp_path, context).path.read_bytes() == content
    assert [request[:7] for request in server.requests] == [b"GET /a ", *[b"GET /b "] * 3]


def test_requests_that_are_not_plain(server, recorder):
    """A value that would be a header of its own is not sent."""
    context = recorder.context()
    for headers in ({"x": "a\r\nY: b"}, {"x": "a\nY: b"}, {"x\r\ny": "a"}):
        server.answers = [[OK + b"\r\nhello"], [OK + b"\r\nhello"]]
        whole(get_once(f"{server.url}/a", context, {}, ""))
        with pytest.raises(ValueError, match="Invalid header"):
            get_once(f"{server.url}/a", context, headers, "")
    server.answers = [[OK + b"\r\nhello"], [OK + b"\r\nhello"]]
    for target, asked in (("/a%2fb", b"/a%2Fb"), ("/a/../b c", b"/b%20c")):
        whole(get_once(server.url + target, context, {"x": "\xe4"}, ""))
        assert server.requests[-1].startswith(b"GET " + asked + b" HTTP/1.1\r\n")
        assert b"x: \xe4\r\n" in server.requests[-1]


def test_a_silent_kept_connection(server, recorder, tmp_path):
    """The idle timeout holds for it, with the same words as for a new one."""
    server.answers = [[OK + b"\r\nhello"], [], []]
    context = recorder.context({"ENVY_IDLE_TIMEOUT": "0.2"}, retries=0)
    item = SourceItem(source=f"{server.url}/a", base_dir=tmp_path)
    fetch_source(item, tmp_path, context)
    with pytest.raises(FetchError, match=r"sent nothing for 0\.2 s, the idle timeout"):
        fetch_source(item, tmp_path, context)
    assert server.connections == 1


def test_encrypted_connections_are_kept(https_server, recorder):
    """Plain answers of any size are read from them, as from others."""
    server, certificates = https_server
    bodies = {f"/{size}": random.Random(size).randbytes(size) for size in (0, 1, 20_000, 3_000_000)}
    server.routes |= {path: Reply(body) for path, body in bodies.items()}
    context = recorder.context({"SSL_CERT_FILE": str(certificates)})
    for path, body in bodies.items():
        response = get_once(server.url + path, context, {}, "")
        assert isinstance(response, PlainAnswer)
        assert whole(response) == body
    pool = pool_for(server.url, context, "").connection_from_url(server.url)
    assert pool.num_connections == 1
    server.routes["/broken"] = Reply(body, breaks_after=1_000_000)
    response, received = get_once(f"{server.url}/broken", context, {}, ""), b""
    with pytest.raises(HTTPError, match="Connection broken: IncompleteRead"):  # noqa: PT012
        while data := response.read1(1 << 19):
            received += data
    assert received == body[:1_000_000]
