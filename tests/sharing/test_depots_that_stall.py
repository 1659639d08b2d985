"""Depots on servers that fall silent, drip, or put off: what they cost in all."""

import contextlib
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from loopback.http_server import Reply

from envy.declarations.depots import Depot
from envy.errors import Cancelled
from envy.sharing.http_shelf import HttpShelf
from envy.transport.context import NoAnswer, NotFound

SHORT, LONG = "0.2", "300"  # seconds of silence: where a server is silent, and where it is not


@contextlib.contextmanager
def served(speak):
    """Serve connections, each by `speak` in a thread; yield the URL and the list of them."""
    connections = []

    def answer(listening):
        with contextlib.suppress(OSError):
            while True:
                connection = listening.accept()[0]
                connections.append(connection)
                threading.Thread(target=quietly, args=(connection,), daemon=True).start()

    def quietly(connection):
        with contextlib.suppress(OSError):
            speak(connection)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=answer, args=(listening,), daemon=True).start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/depot", connections
        listening.shutdown(socket.SHUT_RDWR)
    for connection in connections:
        connection.close()


def shelf_at(url):
    return HttpShelf(Depot(url=url))


def impatient(recorder, silence=SHORT, **details):
    return recorder.context({"ENVY_IDLE_TIMEOUT": silence}, retries=1, **details)


def read(shelf, tmp_path, context):
    with shelf.open("x", tmp_path / "into", context) as path:
        return path.read_bytes()


def say_nothing(connection):
    connection.recv(10_000)


def drip(connection):
    connection.recv(10_000)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    while True:
        connection.sendall(b"0" * 100)  # which is more than the idle timeout demands
        time.sleep(0.01)


@pytest.mark.parametrize("speak", [say_nothing, drip])
def test_reading(recorder, tmp_path, speak):
    """Each thread gives the server up, and then nobody connects to it any more."""
    with served(speak) as (url, connections):
        shelf = shelf_at(url)

        def attempt(number):
            with pytest.raises(NoAnswer):
                read(shelf, tmp_path / str(number), impatient(recorder))

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(attempt, range(8)))
        asked = len(connections)
        for ask in (shelf.has, lambda name, context: read(shelf, tmp_path / name, context)):
            with pytest.raises(NoAnswer, match="did not answer in time"):
                ask("y", impatient(recorder))
        assert len(connections) == asked
    assert not list(tmp_path.rglob("envy-depot-object"))


def test_storing(recorder, tmp_path):
    """A server that does not take an object is given up."""
    content = tmp_path / "content"
    content.write_bytes(bytes(20_000_000))
    with served(say_nothing) as (url, _):
        shelf = shelf_at(url)
        for _ in range(2):
            with pytest.raises(NoAnswer):
                shelf.store("x", content, impatient(recorder))
        with pytest.raises(NoAnswer, match="did not answer in time"):
            shelf.has("x", impatient(recorder))


def test_being_put_off(recorder, http_server, tmp_path):
    """A server that says to come back later is not waited for longer than it may cost in all."""
    later = Reply(status=503, headers={"Retry-After": "15"})
    http_server.routes["/depot/x"] = [later, Reply(b"content")]
    shelf = shelf_at(f"{http_server.url}/depot")
    assert read(shelf, tmp_path, impatient(recorder, silence="4")) == b"content"
    [pause] = recorder.pauses
    assert pause <= 5


def test_many_misses(recorder, http_server, tmp_path):
    """What a server answers soon costs nothing, however often it is asked."""
    shelf = shelf_at(f"{http_server.url}/depot")
    for _ in range(50):
        with pytest.raises(NotFound):
            read(shelf, tmp_path, impatient(recorder, LONG))
        assert not shelf.has("x", impatient(recorder, LONG))


def test_slow_servers_are_used(recorder, tmp_path):
    """What transfers enough is waited for, although each part comes late."""

    def speak(connection):
        connection.recv(10_000)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 20000000\r\n\r\n")
        for _ in range(20):
            connection.sendall(bytes(1_000_000))
            time.sleep(0.02)

    with served(speak) as (url, connections):
        assert len(read(shelf_at(url), tmp_path, impatient(recorder, LONG))) == 20_000_000
        assert len(connections) == 1


def test_uploads_are_cancelled(recorder, tmp_path):
    """Ctrl-C ends an upload between two parts, and is not taken for a fault of the server."""
    content = tmp_path / "content"
    content.write_bytes(bytes(20_000_000))
    ended = threading.Event()

    def speak(connection):
        connection.recv(10_000)
        ended.set()
        while connection.recv(1 << 20):
            pass

    with served(speak) as (url, _):
        shelf = shelf_at(url)
        with pytest.raises(Cancelled):
            shelf.store("x", content, impatient(recorder, LONG, cancelled=ended.is_set))
        with pytest.raises(Cancelled):
            shelf.has("x", impatient(recorder, LONG, cancelled=ended.is_set))
