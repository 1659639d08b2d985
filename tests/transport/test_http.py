"""Downloads by HTTP are complete and verified, and their errors name the cause."""

import gzip
import hashlib
import os
import random
import subprocess
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from installed import works
from loopback.http_server import LoopbackServer, Reply

from envy.declarations.sources import SourceItem
from envy.errors import Cancelled, DigestMismatch, FetchError
from envy.limits import adopt_limits
from envy.transport import fetch_all, fetch_source
from envy.transport.addresses import redacted
from envy.transport.idle import VARIABLE
from envy.transport.pools import pool_for, proxy_for

BODY = random.Random(1).randbytes(700_000)
DIGEST = hashlib.sha256(BODY).hexdigest()


def item(tmp_path, source, **fields):
    return SourceItem(source=source, base_dir=tmp_path, **fields)


@pytest.fixture
def fetch(tmp_path, recorder):
    def fetch(source, environment=None, *, settings=None, **fields):
        context = recorder.context(environment, **(settings or {}))
        return fetch_source(item(tmp_path, source, **fields), tmp_path / "into", context)

    return fetch


@pytest.mark.parametrize("fields", [{}, {"sha256": DIGEST}])
def test_what_the_system_refuses(http_server, fetch, tmp_path, fields):
    """A name that is too long, and a folder that cannot be one, are errors with the source."""
    http_server.routes[f"/{'n' * 300}"] = Reply(BODY)
    url = f"{http_server.url}/{'n' * 300}"
    with pytest.raises(FetchError, match=f"could not fetch {url}: File name too long") as caught:
        fetch(url, **fields)
    assert 'dest = "NAME"' in caught.value.hint
    (tmp_path / "into").rmdir()
    (tmp_path / "into").write_text("")
    http_server.routes["/a"] = Reply(BODY)
    with pytest.raises(FetchError, match=r"/a: File exists: .*/into"):
        fetch(f"{http_server.url}/a", **fields)


def test_file_is_downloaded(http_server, fetch, tmp_path):
    """A file gets the name at the end of its URL, without the query."""
    http_server.routes["/a.tar"] = Reply(BODY)
    fetched = fetch(f"{http_server.url}/a.tar?token=1", sha256=DIGEST)
    assert fetched.path == tmp_path / "into" / "a.tar"
    assert fetched.path.read_bytes() == BODY
    assert (fetched.bytes, fetched.sha256, fetched.verified) == (len(BODY), DIGEST, True)


def test_chunked_answer(http_server, fetch):
    """A response of unknown length is complete with its last chunk."""
    http_server.routes["/a"] = Reply(BODY, chunked=True)
    assert fetch(f"{http_server.url}/a").sha256 == DIGEST


PACKED = gzip.compress(BODY, mtime=0)
PACKED_DIGEST = hashlib.sha256(PACKED).hexdigest()
DEFLATED = zlib.compress(BODY)


@pytest.mark.parametrize(
    ("name", "body", "encoding", "expected"),
    [
        ("a.tar.gz", PACKED, "gzip", PACKED),
        ("a.TGZ", PACKED, "x-gzip", PACKED),
        ("a.tar", PACKED, "gzip", BODY),
        ("a", PACKED, "GZIP", BODY),
        ("a.zip", PACKED, "gzip", BODY),
        ("a.zip", BODY, "gzip", BODY),
        ("a.tar", PACKED, "identity, gzip", BODY),
        ("a.tar", BODY, "aws-chunked", BODY),
        ("a.tar", BODY, "identity", BODY),
        ("a", DEFLATED, "deflate", BODY),
        ("a", DEFLATED[2:-4], "deflate", BODY),
        ("a.br", BODY, "br", BODY),
        ("a", b"", "gzip", b""),
    ],
)
def test_encoded_content(http_server, fetch, name, body, encoding, expected):
    """Content that came encoded is decoded, unless the name says that it is compressed."""
    http_server.routes[f"/{name}"] = Reply(body, headers={"Content-Encoding": encoding})
    fetched = fetch(f"{http_server.url}/{name}")
    assert fetched.path.read_bytes() == expected
    assert fetched.sha256 == hashlib.sha256(expected).hexdigest()
    assert fetched.bytes == len(expected)
    assert [path.name for path in fetched.path.parent.iterdir()] == [name]


@pytest.mark.parametrize("name", ["a.tar", "a.tar.gz"])
@pytest.mark.parametrize(("digest", "expected"), [(DIGEST, BODY), (PACKED_DIGEST, PACKED)])
def test_digest_of_encoded_content(http_server, fetch, name, digest, expected):
    """With a digest, encoded content is kept in the form that has it, whatever its name."""
    http_server.routes[f"/{name}"] = Reply(PACKED, headers={"Content-Encoding": "gzip"})
    fetched = fetch(f"{http_server.url}/{name}", sha256=digest)
    assert fetched.path.read_bytes() == expected
    assert fetched.verified


@pytest.mark.parametrize(("name", "actual"), [("a", DIGEST), ("a.gz", PACKED_DIGEST)])
def test_wrong_digest_of_encoded_content(http_server, fetch, tmp_path, name, actual):
    """If neither form has the digest, the error shows that of the form that would be kept."""
    http_server.routes[f"/{name}"] = Reply(PACKED, headers={"Content-Encoding": "gzip"})
    with pytest.raises(DigestMismatch) as caught:
        fetch(f"{http_server.url}/{name}", sha256="0" * 64)
    assert caught.value.actual == actual
    assert not list((tmp_path / "into").iterdir())


@pytest.mark.parametrize(
    ("body", "encoding"), [(BODY, "br"), (PACKED[:-9], "gzip"), (PACKED, "gzip, gzip")]
)
def test_content_that_cannot_be_decoded(http_server, fetch, tmp_path, body, encoding):
    """Content whose encoding is unknown or damaged is an error, or verified as it was sent."""
    http_server.routes["/a"] = Reply(body, headers={"Content-Encoding": encoding})
    with pytest.raises(FetchError, match=f"Content-Encoding {encoding}, and cannot be decoded"):
        fetch(f"{http_server.url}/a")
    assert not list((tmp_path / "into").iterdir())
    assert fetch(f"{http_server.url}/a", sha256=hashlib.sha256(body).hexdigest()).verified


@pytest.mark.parametrize(("body", "encoding"), [(PACKED, "gzip"), (DEFLATED, "deflate")])
@pytest.mark.parametrize("digest", ["", "0" * 64])
def test_content_that_is_large_when_decoded(http_server, fetch, tmp_path, body, encoding, digest):
    """Encoded content fills no disk: beyond the limit nothing is decoded, nor kept."""
    http_server.routes["/a"] = Reply(body, headers={"Content-Encoding": encoding})
    adopt_limits({"decoded-download": len(BODY) - 1})
    try:
        with pytest.raises(FetchError) as caught:
            fetch(f"{http_server.url}/a", sha256=digest)
        adopt_limits({"decoded-download": len(BODY)})
        assert not list((tmp_path / "into").iterdir())
        assert fetch(f"{http_server.url}/a").sha256 == DIGEST
    finally:
        adopt_limits({})
    assert "699999 bytes when it is decoded, the limit decoded-download" in caught.value.message
    assert "ENVY_LIMITS=decoded-download=1399998" in caught.value.hint


def test_encoded_content_is_continued(http_server, fetch):
    """Encoded content is continued after a break like any other."""
    headers = {"ETag": '"1"', "Content-Encoding": "gzip"}
    broken = Reply(PACKED, ranges=True, headers=headers, breaks_after=300_000)
    http_server.routes["/a"] = [broken, Reply(PACKED, ranges=True, headers=headers)]
    assert fetch(f"{http_server.url}/a").sha256 == DIGEST
    assert http_server.requests[1].headers["range"] == "bytes=300000-"


def test_wrong_digest_leaves_nothing(http_server, fetch, tmp_path):
    """A wrong digest is an error that shows both digests, and leaves no file."""
    http_server.routes["/a"] = Reply(BODY)
    with pytest.raises(DigestMismatch) as caught:
        fetch(f"{http_server.url}/a", sha256="0" * 64)
    assert caught.value.actual == DIGEST
    assert not list((tmp_path / "into").iterdir())


def test_verified_file_is_not_fetched_again(http_server, fetch, tmp_path):
    """A file of an earlier attempt that matches its digest is reused."""
    http_server.routes["/a"] = Reply(BODY)
    (tmp_path / "into").mkdir()
    (tmp_path / "into" / "a").write_bytes(BODY)
    assert fetch(f"{http_server.url}/a", sha256=DIGEST).verified
    assert not http_server.requests


def test_wrong_leftover_is_replaced(http_server, fetch, tmp_path):
    """A file of an earlier attempt that does not match its digest is replaced."""
    http_server.routes["/a"] = Reply(BODY)
    (tmp_path / "into").mkdir()
    (tmp_path / "into" / "a").write_bytes(b"half")
    assert fetch(f"{http_server.url}/a", sha256=DIGEST).path.read_bytes() == BODY


def test_progress_is_reported(http_server, fetch, recorder):
    """Progress grows to the known total."""
    http_server.routes["/a"] = Reply(BODY)
    fetch(f"{http_server.url}/a")
    done = [so_far for _, so_far, _ in recorder.progress]
    assert done == sorted(done)
    assert recorder.progress[-1] == (f"{http_server.url}/a", len(BODY), len(BODY))


def test_executable(http_server, fetch):
    """`executable` makes a downloaded file executable."""
    http_server.routes["/tool"] = Reply(b"#!/bin/sh\n")
    assert os.access(fetch(f"{http_server.url}/tool", executable=True).path, os.X_OK)


def test_broken_connection_is_continued(http_server, fetch):
    """After a broken connection only the rest is requested, if the server supports that."""
    whole = Reply(BODY, ranges=True, headers={"ETag": '"1"'})
    broken = Reply(BODY, ranges=True, headers={"ETag": '"1"'}, breaks_after=300_000)
    http_server.routes["/a"] = [broken, whole]
    assert fetch(f"{http_server.url}/a").sha256 == DIGEST
    assert http_server.requests[1].headers["range"] == "bytes=300000-"
    assert http_server.requests[1].headers["if-range"] == '"1"'


def test_broken_connection_is_begun_again(http_server, fetch):
    """From a server that cannot continue a download, the whole file is requested again."""
    http_server.routes["/a"] = [Reply(BODY, breaks_after=300_000), Reply(BODY)]
    assert fetch(f"{http_server.url}/a").sha256 == DIGEST


@pytest.mark.parametrize("chunked", [False, True])
def test_connection_that_always_breaks(http_server, fetch, tmp_path, chunked):
    """A connection that breaks again and again is an error, and leaves no partial file."""
    http_server.routes["/a"] = Reply(BODY, breaks_after=300_000, chunked=chunked)
    with pytest.raises(FetchError, match="broke before the content was complete"):
        fetch(f"{http_server.url}/a")
    assert not list((tmp_path / "into").iterdir())


BROKEN = Reply(BODY, ranges=True, headers={"ETag": '"1"'}, breaks_after=300_000)


@pytest.mark.parametrize("status", [200, 416])
def test_content_that_is_not_continued(http_server, fetch, status):
    """A server that answers a request for the rest with the whole, or has no rest, starts over."""
    other = Reply(b"other", headers={"ETag": '"2"'})
    http_server.routes["/a"] = [BROKEN, *([Reply(status=416)] if status == 416 else []), other]
    fetched = fetch(f"{http_server.url}/a")
    assert fetched.path.read_bytes() == b"other"
    assert (fetched.bytes, fetched.sha256) == (5, hashlib.sha256(b"other").hexdigest())


@pytest.mark.parametrize(
    "changed",
    [
        {"headers": {"ETag": '"2"'}},
        {"body": BODY + b"x"},
        {"ranges": False, "status": 206, "headers": {"Content-Range": "bytes 0-9/700000"}},
    ],
)
def test_continuation_of_other_content(http_server, fetch, changed):
    """A continuation with another version, size or start than before is an error."""
    fields = {"body": BODY, "ranges": True, "headers": {"ETag": '"1"'}} | changed
    http_server.routes["/a"] = [BROKEN, Reply(**fields)]
    with pytest.raises(FetchError, match="changed while"):
        fetch(f"{http_server.url}/a")


def test_continuation_in_parts(http_server, fetch):
    """A server that sends less than the rest is asked for what is still missing."""
    part = Reply(BODY, ranges=True, headers={"ETag": '"1"'}, most=200_000)
    http_server.routes["/a"] = [BROKEN, part]
    assert fetch(f"{http_server.url}/a").sha256 == DIGEST
    assert http_server.requests[2].headers["range"] == "bytes=500000-"


def test_connection_that_breaks_before_the_first_byte(http_server, fetch):
    """A connection that breaks before the body, or before the answer, is tried again."""
    http_server.routes["/a"] = [Reply(BODY, breaks_after=0), Reply(silent=True), Reply(BODY)]
    assert fetch(f"{http_server.url}/a").sha256 == DIGEST


@pytest.mark.parametrize("reply", [Reply(BODY, breaks_after=0), Reply(silent=True)])
def test_connection_that_never_sends(http_server, fetch, reply):
    """A connection that always breaks at once is an error after the last attempt."""
    http_server.routes["/a"] = reply
    with pytest.raises(FetchError, match="broke before the content was complete"):
        fetch(f"{http_server.url}/a")
    assert len(http_server.requests) == 3


@pytest.mark.parametrize("status", [201, 202, 204, 205, 206])
def test_success_without_the_content(http_server, fetch, tmp_path, status):
    """A success that does not bring the content, such as a part of it, is an error."""
    http_server.routes["/a"] = Reply(b"" if status in {204, 205} else b"part", status=status)
    with pytest.raises(FetchError, match=rf"\(HTTP {status}\)"):
        fetch(f"{http_server.url}/a")
    assert not list((tmp_path / "into").iterdir())


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 507, 520, 599])
def test_passing_errors_are_tried_again(http_server, fetch, status):
    """A request to a server that is busy or broken for a moment is repeated."""
    http_server.routes["/a"] = [Reply(b"", status=status), Reply(BODY)]
    assert fetch(f"{http_server.url}/a").sha256 == DIGEST


@pytest.mark.parametrize("status", [400, 404, 410, 413, 501, 505, 511])
def test_lasting_errors_are_not_tried_again(http_server, fetch, status):
    """A request that the server will never answer otherwise is not repeated."""
    http_server.routes["/a"] = Reply(b"", status=status, headers={"Retry-After": "0"})
    with pytest.raises(FetchError, match=f"HTTP {status}"):
        fetch(f"{http_server.url}/a")
    assert len(http_server.requests) == 1


@pytest.mark.parametrize(
    ("wait", "expected"),
    [("0", 0), ("3", 3), ("9" * 5000, 15), ("nonsense", 0.2), ("", 0.2), ("Wed, 99 Foo 2020", 0.2)],
)
def test_any_retry_after_is_understood(http_server, fetch, recorder, wait, expected):
    """Whatever a server writes into Retry-After, the wait is bounded, and the request repeated."""
    busy = Reply(b"", status=503, headers={"Retry-After": wait})
    http_server.routes["/a"] = [busy, Reply(BODY)]
    assert fetch(f"{http_server.url}/a").sha256 == DIGEST
    assert recorder.pauses == [expected]


@pytest.mark.parametrize(
    ("status", "says"),
    [(404, "does not exist"), (403, "is forbidden"), (500, "could not be served")],
)
def test_refusals(http_server, fetch, tmp_path, status, says):
    """The error for a refused request says why, with the status number."""
    http_server.routes["/a"] = Reply(b"", status=status)
    with pytest.raises(FetchError, match=rf"/a {says}.*|{says} \(HTTP {status}\)") as caught:
        fetch(f"{http_server.url}/a")
    assert f"(HTTP {status})" in str(caught.value)
    assert not list((tmp_path / "into").iterdir())


def test_redirects_are_followed(http_server, fetch):
    """A redirect is followed, and the file keeps the name of the requested URL."""
    http_server.routes["/latest"] = Reply(status=302, headers={"Location": "/files/v1"})
    http_server.routes["/files/v1"] = Reply(BODY)
    assert fetch(f"{http_server.url}/latest").path.name == "latest"


def test_redirects_without_end(http_server, fetch):
    """A circle of redirects is an error."""
    http_server.routes["/a"] = Reply(status=302, headers={"Location": "/a"})
    with pytest.raises(FetchError, match="redirects more than 20 times"):
        fetch(f"{http_server.url}/a")


@pytest.mark.parametrize("to", ["file:///etc/hostname", "ftp://host.invalid/a", "data:,x"])
def test_redirect_to_another_scheme(http_server, fetch, tmp_path, to):
    """A redirect out of HTTP is not followed."""
    http_server.routes["/a"] = Reply(status=302, headers={"Location": to})
    with pytest.raises(FetchError, match=r"redirects to .* must begin with one of http:, https:"):
        fetch(f"{http_server.url}/a", sha256=DIGEST)
    assert not list((tmp_path / "into").iterdir())


@pytest.mark.parametrize("to", ["http://[::1/a", "http://host.invalid:99999/a", "http://:80/a"])
def test_redirect_to_an_invalid_address(http_server, fetch, to):
    """A redirect to an address that cannot be parsed is an error that shows it."""
    http_server.routes["/a"] = Reply(status=302, headers={"Location": to})
    with pytest.raises(FetchError, match="not a valid address"):
        fetch(f"{http_server.url}/a")


@pytest.mark.parametrize("form", ["{server}/b", "/b", "b"])
def test_redirect_within_an_origin_keeps_credentials(http_server, fetch, form):
    """A redirect within one origin keeps the credentials of the URL, absolute or relative."""
    http_server.routes["/a"] = Reply(
        status=302, headers={"Location": form.format(server=http_server.url)}
    )
    http_server.routes["/b"] = Reply(BODY)
    fetch(f"{http_server.url_with('me', 'pw')}/a")
    assert http_server.requests[1].headers["authorization"] == "Basic bWU6cHc="


def test_redirect_to_another_port_drops_credentials(http_server, fetch):
    """Another port of the same host is another origin, which gets no credentials."""
    with LoopbackServer() as other:
        other.routes["/b"] = Reply(BODY)
        http_server.routes["/a"] = Reply(status=302, headers={"Location": f"{other.url}/b"})
        fetch(f"{http_server.url_with('me', 'pw')}/a")
        assert "authorization" not in other.requests[0].headers


def test_credentials_of_the_url_are_sent_and_not_shown(http_server, fetch, recorder):
    """Credentials in a URL are sent as a header, and appear neither in progress nor in errors."""
    http_server.routes["/a"] = Reply(BODY)
    base = http_server.url_with("me", "hunt%40r2")
    fetched = fetch(f"{base}/a")
    assert http_server.requests[0].headers["authorization"] == "Basic bWU6aHVudEByMg=="
    with pytest.raises(FetchError) as caught:
        fetch(f"{base}/missing")
    for text in (str(caught.value), caught.value.uri, fetched.uri, str(recorder.progress)):
        assert "hunt" not in text


def test_credentials_stay_with_their_host(http_server, https_server, fetch):
    """Credentials are not sent to another origin after a redirect."""
    other, certificates = https_server
    other.routes["/b"] = Reply(BODY)
    http_server.routes["/a"] = Reply(status=302, headers={"Location": f"{other.url}/b"})
    fetch(f"{http_server.url_with('me', 'pw')}/a", {"SSL_CERT_FILE": str(certificates)})
    assert "authorization" in http_server.requests[0].headers
    assert "authorization" not in other.requests[0].headers


def test_tls_with_an_own_authority(https_server, fetch):
    """A certificate authority named in SSL_CERT_FILE is trusted."""
    server, certificates = https_server
    server.routes["/a"] = Reply(BODY)
    assert fetch(f"{server.url}/a", {"SSL_CERT_FILE": str(certificates)}).sha256 == DIGEST


def test_untrusted_certificate(https_server, fetch, recorder):
    """An untrusted certificate is an error that says what to set; the request is not repeated."""
    server, _ = https_server
    with pytest.raises(FetchError, match="not trusted") as caught:
        fetch(f"{server.url}/a", {})
    assert "SSL_CERT_FILE" in str(caught.value)
    assert recorder.pauses == []


def test_unreadable_certificates(https_server, fetch, tmp_path):
    """The error for a missing file of certificates names the file."""
    server, _ = https_server
    with pytest.raises(FetchError, match=r"gone\.pem cannot be read"):
        fetch(f"{server.url}/a", {"SSL_CERT_FILE": str(tmp_path / "gone.pem")})


def test_a_folder_of_certificates(https_server, fetch, tmp_path):
    """A variable may name a folder, as OpenSSL prepares it; an empty one trusts nobody."""
    server, certificates = https_server
    server.routes["/a"] = Reply(BODY)
    folder = tmp_path / "authorities"
    folder.mkdir()
    command = ["openssl", "x509", "-hash", "-noout", "-in", str(certificates)]
    for name in ("SSL_CERT_DIR", "REQUESTS_CA_BUNDLE"):
        with pytest.raises(FetchError, match="not trusted"):
            fetch(f"{server.url}/a", {name: str(folder)})
    if works("openssl"):
        name = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
        (folder / f"{name}.0").symlink_to(certificates)
        for name in ("SSL_CERT_DIR", "REQUESTS_CA_BUNDLE"):
            assert fetch(f"{server.url}/a", {name: str(folder)}).sha256 == DIGEST


def test_certificates_that_are_none(https_server, fetch, tmp_path):
    """The error for a file that has no certificate says so."""
    server, _ = https_server
    (tmp_path / "none.pem").write_text("none")
    with pytest.raises(FetchError, match=r"none\.pem cannot be read: it has no certificate"):
        fetch(f"{server.url}/a", {"SSL_CERT_FILE": str(tmp_path / "none.pem")})


@pytest.mark.parametrize("pinned", [True, False])
def test_redirect_out_of_tls(http_server, https_server, fetch, pinned):
    """A redirect from https to http is followed only for content with a digest."""
    server, certificates = https_server
    http_server.routes["/b"] = Reply(BODY)
    server.routes["/a"] = Reply(status=302, headers={"Location": f"{http_server.url}/b"})
    environment = {"SSL_CERT_FILE": str(certificates)}
    if pinned:
        assert fetch(f"{server.url}/a", environment, sha256=DIGEST).verified
    else:
        with pytest.raises(FetchError, match="not encrypted"):
            fetch(f"{server.url}/a", environment)


def test_credentials_never_leave_tls(http_server, https_server, fetch):
    """A request with credentials is not redirected from https to http, digest or not."""
    server, certificates = https_server
    http_server.routes["/b"] = Reply(BODY)
    server.routes["/a"] = Reply(status=302, headers={"Location": f"{http_server.url}/b"})
    with pytest.raises(FetchError, match="not encrypted"):
        fetch(
            f"{server.url_with('me', 'pw')}/a",
            {"SSL_CERT_FILE": str(certificates)},
            sha256=DIGEST,
        )
    assert not http_server.requests


def test_proxy_is_used(http_server, http_proxy, fetch):
    """The proxy in http_proxy gets the request in place of the server."""
    http_server.routes["/a"] = Reply(BODY)
    fetched = fetch(f"{http_server.url}/a", {"http_proxy": http_proxy.url})
    assert fetched.sha256 == DIGEST
    assert http_proxy.requested == [f"GET {http_server.url}/a"]


def test_proxy_with_credentials_and_tls(https_server, http_proxy, fetch):
    """https goes through the proxy by CONNECT, with the credentials of its URL."""
    server, certificates = https_server
    server.routes["/a"] = Reply(BODY)
    proxy = http_proxy.url.replace("//", "//me:pw@")
    environment = {"HTTPS_PROXY": proxy, "SSL_CERT_FILE": str(certificates)}
    assert fetch(f"{server.url}/a", environment).sha256 == DIGEST
    assert http_proxy.requested == [f"CONNECT localhost:{server.port}"]
    assert http_proxy.credentials == ["Basic bWU6cHc="]


@pytest.mark.parametrize("user", ["", "me:hunter22@"])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_wants_credentials(http_proxy, fetch, recorder, scheme, user):
    """Its refusal says where to give them, shows none, and is not repeated."""
    http_proxy.refusal = 407
    proxy = http_proxy.url.replace("//", f"//{user}")
    with pytest.raises(FetchError) as caught:
        fetch(f"{scheme}://a.invalid/a", {f"{scheme}_proxy": proxy})
    said = "does not accept the credentials for it" if user else "requires credentials"
    assert f"is refused by the proxy {http_proxy.url}, which {said} (HTTP 407)" in str(caught.value)
    assert f"set {scheme}_proxy to http://USER:PASSWORD@HOST:PORT" in caught.value.hint
    assert "hunter22" not in str(caught.value)
    assert (len(http_proxy.requested), recorder.pauses) == (1, [])


@pytest.mark.parametrize(
    ("status", "says", "requests"),
    [(403, "does not allow a connection to a.invalid (HTTP 403)", 1),
     (503, "could not make a connection to a.invalid (HTTP 503)", 3)],
)  # fmt: skip
def test_a_proxy_that_makes_no_connection(http_proxy, fetch, status, says, requests):
    """The error says what the proxy answered, without its words; it may be able to later."""
    http_proxy.refusal = status
    with pytest.raises(FetchError) as caught:
        fetch("https://a.invalid/a", {"https_proxy": http_proxy.url})
    assert f"the proxy {http_proxy.url} {says}" in str(caught.value)
    assert "\x1b" not in str(caught.value)
    assert len(http_proxy.requested) == requests


def test_no_proxy(http_server, http_proxy, fetch):
    """A host in no_proxy gets the request directly."""
    http_server.routes["/a"] = Reply(BODY)
    fetch(f"{http_server.url}/a", {"http_proxy": http_proxy.url, "no_proxy": "127.0.0.0/8"})
    assert not http_proxy.requested


def test_dead_proxy(fetch, closed_port):
    """The error for an unreachable proxy names the proxy, without its credentials."""
    environment = {"http_proxy": f"http://me:hunter2@127.0.0.1:{closed_port}"}
    with pytest.raises(FetchError, match="the proxy http://127") as caught:
        fetch("http://a.invalid/a", environment, settings={"retries": 0})
    assert "hunter2" not in str(caught.value)


def test_refused_connection(fetch, closed_port):
    """An unreachable server is an error with the reason of the system."""
    with pytest.raises(FetchError, match="could not be reached: Connection refused"):
        fetch(f"http://127.0.0.1:{closed_port}/a")


def test_unknown_host(fetch):
    """A host name that cannot be resolved is an error that says so."""
    with pytest.raises(FetchError, match=r"nowhere\.invalid could not be resolved"):
        fetch("http://nowhere.invalid/a", settings={"retries": 0})


def test_cancelled_download_leaves_nothing(http_server, fetch, recorder, tmp_path):
    """A cancelled download ends at once and leaves nothing."""
    http_server.routes["/a"] = Reply(BODY * 4)
    with pytest.raises(Cancelled):
        fetch(f"{http_server.url}/a", settings={"cancelled": lambda: bool(recorder.progress)})
    assert not list((tmp_path / "into").iterdir())


def test_batch_in_parallel(http_server, recorder, tmp_path):
    """Many files are downloaded in parallel, each under its name."""
    for number in range(12):
        http_server.routes[f"/f{number}"] = Reply(str(number).encode() * 1000)
    items = [item(tmp_path, f"{http_server.url}/f{number}") for number in range(12)]
    fetched = fetch_all(items, tmp_path / "into", recorder.context(), parallel=4)
    assert [each.path.read_bytes()[:2] for each in fetched[:2]] == [b"00", b"11"]


@pytest.mark.parametrize(
    ("excepted", "expected"),
    [
        ("", True),
        ("*", False),
        ("example.org", False),
        (".example.org", False),
        ("*.example.org", False),
        ("other.org, example.org", False),
        ("example.org:443", False),
        ("example.org:8443", True),
        ("ple.org", True),
    ],
)
def test_no_proxy_forms(excepted, expected):
    """no_proxy accepts hosts, domains, ports and a star."""
    environment = {"https_proxy": "http://proxy:3128", "no_proxy": excepted}
    assert bool(proxy_for("https://www.example.org/x", environment)) is expected


@given(st.text("ab:@%/", max_size=6), st.text("ab:%", min_size=1, max_size=6))
def test_a_redacted_url_never_has_credentials(user, password):
    """Nothing of the part before the host is shown."""
    url = f"https://{user.replace('/', '')}:SECRET{password}@host.invalid/x"
    assert "SECRET" not in redacted(url)


def test_connections_have_the_idle_timeout_of_their_context(recorder):
    """A depot is given up after seconds; that is not so for the sources of recipes in that run."""
    memo = recorder.context().memo
    waits = []
    for seconds in ("4", "", "4"):
        pool = pool_for("http://h", recorder.context({VARIABLE: seconds}, memo=memo), "")
        waits.append(pool.connection_pool_kw["timeout"].read_timeout)
    assert waits == [4.0, 60.0, 4.0]
