"""If one address fails, the next has the file; the digest decides which content is right."""

import hashlib

import pytest
from loopback.http_server import LoopbackServer, Reply

from envy.declarations.sources import SourceItem
from envy.errors import FetchError
from envy.transport import fetch_source
from envy.transport.context import CannotWrite, NoAnswer, NotFound
from envy.transport.idle import Pace, TooSlow
from envy.transport.mirrors import first_good

BODY = b"content" * 1000
DIGEST = hashlib.sha256(BODY).hexdigest()
GOOD = Reply(BODY)


@pytest.fixture
def mirror():
    """A second server, with the file at /a."""
    with LoopbackServer() as server:
        server.routes["/a"] = GOOD
        yield server


@pytest.fixture
def fetch(tmp_path, recorder, http_server, mirror):
    """Fetch /a, whose mirror is the second server."""

    def fetch(*, mirrors=None, variables=None, sha256=DIGEST, source="", prefixes=None, **settings):
        item = SourceItem(
            source=source or f"{http_server.url}/a",
            base_dir=tmp_path,
            sha256=sha256,
            mirrors=(f"{mirror.url}/a",) if mirrors is None else mirrors,
        )
        context = settings.pop("context", None)
        context = context or recorder.context(variables, mirrors=prefixes or {}, **settings)
        return fetch_source(item, tmp_path / "into", context)

    return fetch


@pytest.mark.parametrize(
    ("reply", "says"),
    [
        (Reply(status=404), "/a does not exist (HTTP 404)"),
        (Reply(status=503, headers={"Retry-After": "15"}), "/a could not be served (HTTP 503)"),
        (Reply(silent=True), "broke before the content was complete"),
        (Reply(BODY, breaks_after=10), "broke before the content was complete"),
        (Reply(b"lies"), "does not match the declared digest"),
        (Reply(BODY, stalls_after=10), "sent nothing for 0.5 s, the idle timeout"),
        (Reply(status=302, headers={"Location": "file:///etc/hostname"}), "must begin with one of"),
    ],
    ids=["missing", "busy", "silent", "breaks", "lies", "stalls", "redirects"],
)
def test_the_next_address(http_server, mirror, fetch, recorder, reply, says):
    """Whatever is wrong with a server, the next address is tried, with a warning that says why."""
    http_server.routes["/a"] = reply
    fetched = fetch(variables={"ENVY_IDLE_TIMEOUT": "0.5"} if reply.stalls_after else {})
    assert (fetched.sha256, fetched.uri) == (DIGEST, f"{http_server.url}/a")
    [warning] = recorder.warnings
    assert says in warning
    assert warning.endswith("; trying the next of 2 addresses")
    assert recorder.pauses == []
    assert {uri for uri, _, _ in recorder.progress} <= {f"{http_server.url}/a"}


def test_maps_come_first(http_server, mirror, fetch, recorder, closed_port):
    """The environment's mirrors are tried before the manifest's, and these before the source."""
    down = f"http://127.0.0.1:{closed_port}/"
    http_server.routes["/a"] = Reply(status=404)
    fetched = fetch(
        mirrors=(),
        variables={"ENVY_MIRRORS": f"{http_server.url}/={down}"},
        prefixes={f"{http_server.url}/": (f"{mirror.url}/",)},
    )
    assert fetched.sha256 == DIGEST
    assert (len(mirror.requests), len(http_server.requests)) == (1, 0)
    assert "could not be reached" in recorder.warnings[0]


def test_a_host_without_an_answer_is_asked_last(http_server, mirror, fetch, recorder):
    """Within one run, a mirror that is down costs one attempt, and not one for each file."""
    context = recorder.context(mirrors={f"{http_server.url}/": (f"{mirror.url}/",)})
    for name in ("a", "b", "c"):
        mirror.routes[f"/{name}"] = Reply(status=503)
        http_server.routes[f"/{name}"] = GOOD
        fetch(source=f"{http_server.url}/{name}", mirrors=(), context=context)
    assert mirror.paths() == ["/a"]


def test_every_address_is_named(http_server, mirror, fetch, closed_port):
    """If no address has the file, the error names each, with its reason."""
    http_server.routes["/a"] = Reply(status=404)
    mirror.routes["/a"] = Reply(b"lies")
    down = f"http://me:hunter22@127.0.0.1:{closed_port}/a"
    with pytest.raises(NoAnswer) as caught:
        fetch(mirrors=(f"{mirror.url}/a", down))
    first, *rest = caught.value.message.splitlines()
    assert first == f"none of the 3 addresses of {http_server.url}/a has the file:"
    assert rest[0] == f"  1. {http_server.url}/a does not exist (HTTP 404)"
    assert rest[1] == f"  2. sha256 of {mirror.url}/a does not match the declared digest"
    assert rest[2:4] == [
        f"       expected {DIGEST}",
        f"       actual   {hashlib.sha256(b'lies').hexdigest()}",
    ]
    assert "could not be reached: Connection refused" in rest[4]
    assert "hunter22" not in str(caught.value)


def test_what_has_no_answer_is_tried_again(http_server, mirror, fetch, recorder):
    """When all addresses failed, those without an answer are tried again as usual."""
    http_server.routes["/a"] = [Reply(status=503), Reply(status=503), GOOD]
    mirror.routes["/a"] = Reply(status=404)
    assert fetch().sha256 == DIGEST
    assert recorder.pauses == [0.2]


def test_missing_everywhere(http_server, mirror, fetch):
    """What no address has does not exist."""
    mirror.routes["/a"] = Reply(status=410)
    with pytest.raises(NotFound):
        fetch()


def test_credentials_stay_with_their_host(http_server, mirror, fetch):
    """A mirror gets its own credentials, and not those of the source."""
    http_server.routes["/a"] = Reply(status=404)
    fetch(source=f"{http_server.url_with('me', 'hunter22')}/a")
    assert "authorization" in http_server.requests[0].headers
    assert "authorization" not in mirror.requests[0].headers


def test_an_encrypted_source_has_encrypted_mirrors(mirror, fetch, closed_port):
    """Without a digest, a mirror of an https address has to be encrypted, too."""
    source = f"https://127.0.0.1:{closed_port}/a"
    assert fetch(source=source).sha256 == DIGEST
    with pytest.raises(FetchError, match=r"has the mirror http://\S+/a, which is not encrypted"):
        fetch(source=source, sha256="", retries=0)


def test_a_full_disk_is_no_reason_to_ask_others(recorder):
    """What this machine cannot do, no mirror changes."""
    tried = []

    def attempt(address, _):
        tried.append(address)
        raise CannotWrite("the disk is full", uri=address)

    with pytest.raises(CannotWrite):
        first_good("http://a/x", ["http://a/x", "http://b/x"], attempt, recorder.context(),
                   is_pinned=True)  # fmt: skip
    assert tried == ["http://a/x"]


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("ENVY_MIRRORS", "https://a", "ENVY_MIRRORS: https://a is not of the form"),
        ("ENVY_IDLE_TIMEOUT", "soon", "ENVY_IDLE_TIMEOUT is 'soon', which is not a number"),
        ("ENVY_IDLE_TIMEOUT", "0", "ENVY_IDLE_TIMEOUT is '0'"),
        ("ENVY_IDLE_TIMEOUT", "nan", "ENVY_IDLE_TIMEOUT is 'nan'"),
    ],
)
def test_wrong_settings(fetch, name, value, says):
    """A variable with a wrong value is an error that names it, and nothing is requested."""
    with pytest.raises(FetchError, match=says):
        fetch(variables={name: value}, mirrors=())


def test_a_server_that_drips():
    """A server that sends a byte now and then has stopped in effect."""
    clock = iter([0.0, 1.0, 1.0, 12.0])
    pace = Pace(10, now=lambda: next(clock))
    pace.note(1)
    pace.note(999)
    with pytest.raises(TooSlow, match="sent 5 bytes in 10 s, the idle timeout"):
        pace.note(5)
