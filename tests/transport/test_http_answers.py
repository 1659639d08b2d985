"""Answers whose bytes are not what a server should send."""

import contextlib
import socket
import threading

import pytest

from envy.declarations.sources import SourceItem
from envy.errors import FetchError
from envy.transport import fetch_source
from envy.transport.http import read_page


@pytest.fixture
def fetch(tmp_path, recorder):
    def fetch(source, dest="x"):
        item = SourceItem(source=source, base_dir=tmp_path, dest=dest)
        return fetch_source(item, tmp_path / "into", recorder.context())

    return fetch


@pytest.fixture
def raw_server():
    """Answer each connection with the next of some bytes, the last one again and again."""
    answers = []
    listening = socket.create_server(("127.0.0.1", 0))

    def serve():
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listening.accept()
                with connection, contextlib.suppress(OSError):
                    while not connection.recv(65536).endswith(b"\r\n\r\n"):
                        pass
                    connection.sendall(answers.pop(0) if len(answers) > 1 else answers[0])

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()

    def answer(*given):
        answers[:] = given
        return f"http://127.0.0.1:{listening.getsockname()[1]}/x"

    yield answer
    with contextlib.suppress(OSError):
        listening.shutdown(socket.SHUT_RDWR)
    listening.close()
    thread.join(5)


@pytest.mark.parametrize("cut", [b"", b"Content-Type: a/b\r\n", b"Content-Len", b'ETag: "1"\r'])
def test_an_answer_that_ends_in_its_head(raw_server, fetch, recorder, cut):
    """It is not taken for an empty file, nor for an empty document."""
    whole = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello"
    head = b"HTTP/1.1 200 OK\r\n" + cut
    assert fetch(raw_server(head, whole)).path.read_bytes() == b"hello"
    assert read_page(raw_server(head, whole), recorder.context(), headers={})[0] == b"hello"
    message = "the connection broke before the content was complete"
    with pytest.raises(FetchError, match=message):
        fetch(raw_server(head), dest="y")
    with pytest.raises(FetchError, match=message):
        read_page(raw_server(head), recorder.context(), headers={})


def test_frames_of_content(raw_server, fetch):
    """The end of an answer may be told by its length, by chunks or by the end of the connection."""
    ok = b"HTTP/1.1 200 OK\r\nConnection: close\r\n"
    for number, (head, body) in enumerate(
        (
            (b"", b"hello"),
            (b"Transfer-Encoding: chunked\r\n", b"5\r\nhello\r\n0\r\nX: y\r\n\r\n"),
            (b"Transfer-Encoding: identity\r\nContent-Length: 5\r\n", b"hello"),
        )
    ):
        fetched = fetch(raw_server(ok + head + b"\r\n" + body), dest=str(number))
        assert fetched.path.read_bytes() == b"hello"
    packed = b"Transfer-Encoding: gzip, chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
    with pytest.raises(FetchError, match="Transfer-Encoding gzip, chunked, which envy does not"):
        fetch(raw_server(ok + packed), dest="y")
    for head, body in (
        (b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n", b"5\r\nhello\r\n0\r\n\r\n"),
        (b"Transfer-Encoding: chunked\r\n", b"5\r\nhel"),
        (b"Transfer-Encoding: chunked\r\n", b"x\r\nhello\r\n0\r\n\r\n"),
        (b"Content-Length: 6\r\n", b"hello"),
    ):
        with pytest.raises(FetchError, match="the connection broke before"):
            fetch(raw_server(ok + head + b"\r\n" + body), dest="y")
