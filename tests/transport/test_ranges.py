"""A large file comes over several connections only where every answer is beyond doubt."""

import hashlib
import itertools
import random
import threading
from dataclasses import dataclass, replace

import pytest
from loopback.http_server import Reply

from envy.cache.downloads import Downloads
from envy.declarations.sources import SourceItem
from envy.errors import Cancelled, FetchError
from envy.transport import fetch_source
from envy.transport.context import Ranges
from envy.transport.ranges import is_worth_it

BODY = random.Random(4).randbytes(3_000_000)
DIGEST = hashlib.sha256(BODY).hexdigest()
HEADERS = {"ETag": '"1"'}
WHOLE = Reply(BODY, ranges=True, headers=HEADERS)
# The first connection never brings more: the rest has to come over others.
FIRST = Reply(BODY, ranges=True, headers=HEADERS, stalls_after=100_000)
AT_ONCE = Ranges(
    connections=3,
    after=0.0,
    least=0,
    least_seconds=0.0,
    trial=float("inf"),
    below=float("inf"),
    piece=250_000,
)


@pytest.fixture
def fetch(tmp_path, recorder, http_server):
    def fetch(*, kept=None, sha256=DIGEST, **settings):
        item = SourceItem(source=f"{http_server.url}/a", base_dir=tmp_path, sha256=sha256)
        context = recorder.context(ranges=AT_ONCE, kept=kept, **settings)
        return fetch_source(item, tmp_path / "into", context)

    return fetch


def served(later):
    """Return a route whose first answer stalls, and whose further ones are those of `later`."""
    lock, seen = threading.Lock(), []

    def answer(request):
        with lock:
            seen.append(request)
            number = len(seen)
        return FIRST if number == 1 else later(request)

    return answer


def goes_on_alone(server):
    """Whether all that was missing was requested at once; what is given up may come later."""
    later = [request.headers["range"] for request in server.requests[1:]]
    return any(wanted.endswith("-") for wanted in later)


@pytest.mark.parametrize("digest", [DIGEST, ""])
def test_the_rest_comes_in_ranges(http_server, fetch, digest):
    """Every byte after the first connection's is transferred once, in ranges of one version."""
    http_server.routes["/a"] = served(lambda _: WHOLE)
    fetched = fetch(sha256=digest)
    assert fetched.path.read_bytes() == BODY
    later = http_server.requests[1:]
    spans = sorted(tuple(map(int, request.headers["range"][6:].split("-"))) for request in later)
    assert spans[-1][1] == len(BODY) - 1
    assert all(one[1] + 1 == two[0] for one, two in itertools.pairwise(spans))
    assert {request.headers["if-range"] for request in later} == {'"1"'}
    assert 2 <= len(spans) <= 12


@pytest.mark.parametrize(
    "doubtful",
    [
        Reply(BODY),
        Reply(status=416),
        Reply(status=429),
        Reply(silent=True),
        Reply(BODY, ranges=True, headers={"ETag": '"2"'}),
        Reply(BODY, ranges=True),
        Reply(BODY + b"x", ranges=True, headers=HEADERS),
        Reply(BODY, ranges=True, headers=HEADERS, most=1000),
        Reply(BODY, ranges=True, headers=HEADERS, breaks_after=1000),
        Reply(BODY, ranges=True, headers={**HEADERS, "Content-Encoding": "gzip"}),
        Reply(BODY[:9], status=206, headers={**HEADERS, "Content-Range": "bytes 0-8/3000000"}),
    ],
    ids=["whole", "416", "429", "silent", "version", "no version", "total", "short", "breaks",
         "encoded", "elsewhere"],
)  # fmt: skip
def test_one_connection_goes_on_in_doubt(http_server, fetch, doubtful):
    """An answer that is not exactly the piece that was requested ends only the attempt."""

    def later(request):
        has_end = not request.headers["range"].endswith("-")
        return doubtful if has_end else WHOLE

    http_server.routes["/a"] = served(later)
    assert fetch().path.read_bytes() == BODY
    assert goes_on_alone(http_server)


def test_connections_that_stall_are_not_waited_for(http_server, recorder, tmp_path):
    """When one answer ends the attempt, those that send nothing any more are cut off."""
    stalled = threading.Semaphore(0)

    def later(request):
        first, _, last = request.headers["range"].removeprefix("bytes=").partition("-")
        if not last:
            return WHOLE
        if int(first) <= FIRST.stalls_after:  # the piece that is waited for
            for _ in range(AT_ONCE.connections - 1):
                stalled.acquire()
            return Reply(status=416)
        stalled.release()
        return Reply(BODY, ranges=True, headers=HEADERS, stalls_after=1000)

    http_server.routes["/a"] = served(later)
    item = SourceItem(source=f"{http_server.url}/a", base_dir=tmp_path, sha256=DIGEST)
    context = recorder.context({"ENVY_IDLE_TIMEOUT": "86400"}, ranges=AT_ONCE)
    assert fetch_source(item, tmp_path / "into", context).sha256 == DIGEST


def test_connections_that_are_slower_together(http_server, recorder, tmp_path):
    """If they bring less than the one before, that one goes on alone."""
    http_server.routes["/a"] = served(lambda _: WHOLE)
    item = SourceItem(source=f"{http_server.url}/a", base_dir=tmp_path, sha256=DIGEST)
    context = recorder.context(ranges=replace(AT_ONCE, trial=-1.0, piece=1000))
    assert fetch_source(item, tmp_path / "into", context).sha256 == DIGEST
    assert goes_on_alone(http_server)


def test_an_interruption_leaves_no_gap(http_server, fetch, tmp_path, recorder):
    """What is kept of ranges is the beginning of the file, which the next process continues."""
    (tmp_path / "cache").mkdir()
    kept = Downloads(str(tmp_path / "cache"))
    http_server.routes["/a"] = served(lambda _: WHOLE)
    with pytest.raises(Cancelled):
        fetch(kept=kept, cancelled=lambda: any(done > 10**6 for _, done, _ in recorder.progress))
    [partial] = (tmp_path / "cache" / "downloads" / "partial").glob("*[0-9a-f].new")
    content = partial.read_bytes()
    assert 10**6 < len(content) < len(BODY)
    assert BODY.startswith(content)


def test_a_file_that_is_gone_in_between(http_server, fetch):
    """The error is that of the single connection that goes on."""
    http_server.routes["/a"] = served(lambda _: Reply(status=404))
    with pytest.raises(FetchError, match=r"/a does not exist \(HTTP 404\)"):
        fetch()


@dataclass
class Content:
    total: int
    done: int
    version: str = '"1"'
    encoding: str = ""


MIB = 1 << 20


@pytest.mark.parametrize(
    ("content", "received", "seconds", "expected"),
    [
        (Content(100 * MIB, MIB), MIB, 1.0, True),
        (Content(100 * MIB, MIB), MIB, 0.9, False),
        (Content(100 * MIB, MIB, version=""), MIB, 1.0, False),
        (Content(100 * MIB, MIB, encoding="gzip"), MIB, 1.0, False),
        (Content(10 * MIB, MIB), MIB, 1.0, False),
        (Content(100 * MIB, 40 * MIB), 40 * MIB, 1.0, False),
        (Content(1000 * MIB, 60 * MIB), 60 * MIB, 1.0, False),
        (Content(0, MIB), MIB, 9.0, False),
    ],
)
def test_when_it_is_worth_it(content, received, seconds, expected):
    """Several connections are for what is large, slow, and the same at each request."""
    assert is_worth_it(Ranges(), content, received=received, seconds=seconds) is expected
    assert not is_worth_it(Ranges(connections=1), content, received=received, seconds=seconds)
