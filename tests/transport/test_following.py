"""A download is read while it arrives: the bytes of the file, or the word that it is given up."""

import gzip
import hashlib
import random
import threading
from dataclasses import replace

import pytest
from loopback.http_server import Reply

from envy.cache.downloads import Downloads
from envy.content.arriving import GivenUp
from envy.declarations.sources import SourceItem
from envy.errors import FetchError
from envy.transport import fetch_source
from envy.transport.context import Ranges

BODY = random.Random(5).randbytes(2_500_000)
OTHER = random.Random(6).randbytes(2_500_000)
HEADERS = {"ETag": '"1"'}
WHOLE = Reply(BODY, ranges=True, headers=HEADERS)
BROKEN = replace(WHOLE, breaks_after=1_200_000)
OTHERS = Reply(OTHER, headers={"ETag": '"2"'})


def in_turn(*replies, end=WHOLE):
    """Return a route that gives these replies, but `end` to whoever asks for the end."""
    left = [*replies]

    def answer(request):
        if not request.headers.get("range", "-").endswith("-"):
            return end
        return left.pop(0) if len(left) > 1 else left[0]

    return answer


class Reader:
    """Reads a file from its begin while it arrives, after asking for its last bytes."""

    def __init__(self):
        self.read = b""
        self.end = None
        self.is_given_up = self.is_confirmed = False
        self.arriving = None
        self.accepted = ""  # the digest of the file that was verified
        self._thread = None

    def wants(self, *, received, left, seconds):
        return self._thread is None and received > 0 and left > 0 and seconds >= 0

    def start(self, arriving):
        self.arriving = arriving
        self._thread = threading.Thread(target=self._run, args=(arriving,))
        self._thread.start()

    def accept(self, sha256):
        self.accepted = sha256

    def give_up(self):
        if self.arriving is not None:
            self.arriving.give_up()

    @property
    def is_accepted(self):
        """Whether what arrived is what was verified."""
        return self.arriving is not None and self.arriving.is_accepted(self.accepted)

    def _run(self, arriving):
        try:
            self.end = self._end(arriving)
            stream = arriving.stream()
            while data := stream.read(100_000):
                self.read += data
            self.is_confirmed = arriving.is_confirmed()
        except GivenUp:
            self.is_given_up = True
        finally:
            arriving.close()

    def _end(self, arriving):
        try:
            return arriving.read_ahead(arriving.total - 10, 10)
        except GivenUp:
            return None

    def join(self):
        if self._thread is not None:
            self._thread.join()
        return self


@pytest.fixture
def fetch(tmp_path, recorder, http_server):
    def fetch(body, *, mirrors=(), connections=4, reader=None, kept=None, **routes):
        http_server.routes.update({f"/{name}": route for name, route in routes.items()})
        reader = reader or Reader()
        item = SourceItem(
            source=f"{http_server.url}/a",
            base_dir=tmp_path,
            sha256=hashlib.sha256(body).hexdigest(),
            mirrors=tuple(f"{http_server.url}/{name}" for name in mirrors),
        )
        context = recorder.context(
            ranges=Ranges(connections=connections),
            follow=lambda _item, _name: reader,
            kept=kept,
        )
        try:
            fetched = fetch_source(item, tmp_path / "into", context)
        except FetchError as error:
            return reader.join(), error
        return reader.join(), fetched.path.read_bytes()

    return fetch


CONTINUED = {"at once": WHOLE, "after a break": in_turn(BROKEN, WHOLE)}


@pytest.mark.parametrize("case", CONTINUED)
def test_the_bytes_of_the_file(fetch, case):
    """All of them, over several connections, and they are accepted under their digest alone."""
    reader, found = fetch(BODY, a=CONTINUED[case])
    assert reader.read == found == BODY
    assert reader.is_confirmed
    assert reader.end == BODY[-10:]
    assert reader.is_accepted
    assert reader.accepted == hashlib.sha256(BODY).hexdigest()
    assert not reader.arriving.is_accepted(hashlib.sha256(OTHER).hexdigest())
    assert not reader.arriving.is_accepted("")


def test_a_wrong_digest(fetch):
    """Nothing is accepted, although every byte of the content arrived."""
    reader, found = fetch(OTHER, a=WHOLE)
    assert "actual" in found.message
    assert reader.accepted == ""
    for body in (BODY, OTHER):
        assert not reader.arriving.is_accepted(hashlib.sha256(body).hexdigest())


LONG = Reply(
    BODY[1_200_000:] + bytes(10),
    status=206,
    headers={**HEADERS, "Content-Range": f"bytes 1200000-{len(BODY) - 1}/{len(BODY)}"},
)
REPLACED = {
    "a wrong digest, and the next mirror is right": {"a": [WHOLE], "m": [OTHERS]},
    "a part that is too long": {"a": [BROKEN, LONG, OTHERS]},
    "a part that is too long, in chunks": {"a": [BROKEN, replace(LONG, chunked=True), OTHERS]},
}


@pytest.mark.parametrize("case", REPLACED)
def test_content_that_is_replaced_after_its_last_byte(fetch, case):
    """The file has other bytes than the reader got, or may have got: they are not accepted."""
    routes = {name: in_turn(*replies) for name, replies in REPLACED[case].items()}
    reader, found = fetch(OTHER, mirrors=["m"] if "m" in routes else (), **routes)
    assert found == OTHER
    assert reader.accepted == hashlib.sha256(OTHER).hexdigest()
    assert not reader.is_accepted


def test_a_damaged_beginning_of_an_earlier_process(fetch, tmp_path):
    """All bytes are there before the digest shows it: the reader got others than the file."""
    downloads = Downloads(str(tmp_path / "cache"), project="one")
    first, error = fetch(OTHER, kept=downloads, a=in_turn(BROKEN, Reply(status=403)))
    assert isinstance(error, FetchError)
    assert not first.is_accepted
    rest = Reply(OTHER, ranges=True, headers=HEADERS)
    second, found = fetch(OTHER, kept=downloads, a=in_turn(rest, OTHERS, end=rest))
    assert found == OTHER
    assert second.arriving is not None
    assert second.accepted == hashlib.sha256(OTHER).hexdigest()
    assert not second.is_accepted


def test_a_system_without_descriptors(fetch):
    """The content is not followed then, and the download goes on."""
    resource = pytest.importorskip("resource")
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)

    class Greedy(Reader):
        def wants(self, *, received, left, seconds):
            soft = 3 if left else limits[0]
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, limits[1]))
            return left > 0

    try:
        reader, found = fetch(BODY, reader=Greedy(), connections=1, a=WHOLE)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert found == BODY
    assert reader.arriving is None


GIVEN_UP = {
    "other content after a break": {"a": [BROKEN, OTHERS]},
    "a server that cannot continue": {"a": [Reply(OTHER, breaks_after=1_200_000), Reply(OTHER)]},
    "another mirror": {"a": [replace(BROKEN, headers={}), Reply(status=404)], "m": [OTHERS]},
}


@pytest.mark.parametrize("case", GIVEN_UP)
def test_a_file_that_is_not_as_it_began(fetch, case):
    """Readers are told before other bytes take the place of those that they got."""
    routes = {name: in_turn(*replies) for name, replies in GIVEN_UP[case].items()}
    reader, found = fetch(OTHER, mirrors=["m"] if "m" in routes else (), **routes)
    assert found == OTHER
    assert reader.is_given_up
    assert not reader.is_confirmed


def test_content_in_an_encoding(fetch):
    """It is not the file, and nobody reads it."""
    packed = Reply(gzip.compress(BODY), headers={**HEADERS, "Content-Encoding": "gzip"})
    reader, found = fetch(BODY, a=packed)
    assert (reader.read, found) == (b"", BODY)


def test_a_single_connection(fetch):
    """No second one asks for the end."""
    reader, found = fetch(BODY, a=in_turn(WHOLE, end=Reply(status=500)), connections=1)
    assert reader.read == found == BODY
    assert reader.end in {BODY[-10:], None}


def test_a_wrong_part(fetch):
    """What a server answers for the end is compared with the end of the file."""
    lie = Reply(OTHER, ranges=True, headers=HEADERS)
    reader, found = fetch(BODY, a=in_turn(WHOLE, end=lie))
    assert found == BODY
    assert reader.read == BODY
    # It was not asked if everything was there already.
    assert reader.end in {OTHER[-10:], BODY[-10:]}
    assert reader.is_confirmed is (reader.end == BODY[-10:])
