"""Credentials come from variables and .netrc, go to their own host, and are shown nowhere."""

import base64
import hashlib
import re

import pytest
from loopback.http_server import LoopbackServer, Reply

from envy.declarations.request_headers import RequestHeader
from envy.declarations.signature import Signature
from envy.declarations.sources import SourceItem
from envy.errors import FetchError
from envy.masking import forget_all, masked
from envy.transport import fetch_source
from envy.transport.connection import get
from envy.transport.credentials import basic

AUTH = RequestHeader(name="authorization", variable="TOKEN")
CUSTOM = RequestHeader(name="private-token", variable="OTHER")
ACCEPT = RequestHeader(name="accept", value="application/octet-stream")
KEY = "RWRZpcF42b/YKn0Se8WTHms1sI9RyClUzAzfjXMU1ne1i5itWYJfJlMg"  # of minisign
NETRC = "machine 127.0.0.1 login me password hunter22\ndefault login any password anyone\n"


@pytest.fixture
def fetch(tmp_path, recorder, http_server):
    """Fetch a file with headers and variables; return the headers of the first request."""
    forget_all()
    http_server.routes["/a"] = Reply(b"content")

    def fetch(*headers, variables=None, source="", mirrors=()):
        item = SourceItem(
            source=source or f"{http_server.url}/a",
            base_dir=tmp_path,
            headers=headers,
            mirrors=mirrors,
        )
        fetch_source(item, tmp_path / "into", recorder.context(variables or {}))
        return http_server.requests[0].headers

    yield fetch
    forget_all()


@pytest.mark.parametrize(
    ("token", "sent"),
    [("s3cr3t", "Bearer s3cr3t"), ("token s3cr3t", "token s3cr3t"), (" s3cr3t\n", "Bearer s3cr3t")],
)
def test_tokens_of_variables(fetch, token, sent):
    """A token is sent as Bearer, unless the variable says how, and is a secret from then on."""
    headers = fetch(AUTH, CUSTOM, ACCEPT, variables={"TOKEN": token, "OTHER": "0ther"})
    assert headers["authorization"] == sent
    assert (headers["private-token"], headers["accept"]) == ("0ther", "application/octet-stream")
    assert masked("the token is s3cr3t, not 0ther") == "the token is ***, not ***"


@pytest.mark.parametrize(
    ("value", "says"),
    [("", "the variable TOKEN, which its source names, is not set"), ("s3cr3t\nX: y", "several")],
)
def test_a_variable_without_a_token(fetch, http_server, value, says):
    """A token that is missing, or cannot be sent, is an error that names the variable."""
    with pytest.raises(FetchError, match=says) as caught:
        fetch(AUTH, variables={"TOKEN": value})
    assert "s3cr3t" not in str(caught.value)
    assert not http_server.requests


@pytest.mark.parametrize("form", ["variable", "home"])
def test_netrc(fetch, tmp_path, form):
    """The entry of the host is used, from the file that NETRC names or that of the user."""
    (tmp_path / ".netrc").write_text(NETRC)
    variables = {"HOME": str(tmp_path)}
    if form == "variable":
        variables = {"NETRC": str(tmp_path / ".netrc"), "HOME": "/nowhere"}
    assert fetch(variables=variables)["authorization"] == "Basic bWU6aHVudGVyMjI="
    assert masked("hunter22") == "***"


def test_credentials_of_any_characters(fetch, http_server, tmp_path):
    """They are sent as UTF-8, and bytes that are none as they are; hosts have no case."""
    (tmp_path / ".netrc").write_text("machine LOCALHOST login ü password €\n", encoding="utf-8")
    source = f"http://localhost:{http_server.port}/a"
    headers = fetch(source=source, variables={"HOME": str(tmp_path)})
    assert base64.b64decode(headers["authorization"].split()[1]).decode() == "ü:€"
    http_server.requests.clear()
    headers = fetch(source=f"{http_server.url_with('%C3%BC', '%FF:')}/a")
    assert base64.b64decode(headers["authorization"].split()[1]) == b"\xc3\xbc:\xff:"


@pytest.mark.parametrize("password", ["my pass-word", "my p@ssword #x", "'my pass-word'"])
def test_a_damaged_netrc_is_not_shown(fetch, tmp_path, recorder, password):
    """The warning has the file and the line, and no word of it."""
    (tmp_path / ".netrc").write_text(f"machine h login me\n  password {password}\n")
    assert "authorization" not in fetch(variables={"HOME": str(tmp_path)})
    [warning] = recorder.warnings
    assert re.search(r"/\.netrc:[23] is not valid, and is not used", warning)
    assert "word'" not in warning
    assert "p@ss" not in warning
    assert "pass-" not in warning


@pytest.mark.parametrize("value", ["s3cr3t\n", "s3cr\nX: y", "s3crę"])
def test_a_header_that_cannot_be_sent(http_server, recorder, value):
    """Whatever made it, its words are in no error."""
    with (
        pytest.raises(FetchError, match="a header that is sent with it, has characters") as caught,
        get(f"{http_server.url}/a", recorder.context(), headers={"authorization": value}),
    ):
        pass
    assert caught.value.__cause__ is None
    assert "s3cr" not in str(caught.value)


def test_what_comes_before_netrc(fetch, http_server, tmp_path):
    """A token of the source, and credentials of its address, count before .netrc."""
    (tmp_path / ".netrc").write_text(NETRC)
    variables = {"HOME": str(tmp_path), "TOKEN": "s3cr3t"}
    assert fetch(AUTH, variables=variables)["authorization"] == "Bearer s3cr3t"
    http_server.requests.clear()
    headers = fetch(source=f"{http_server.url_with('you', 'pw')}/a", variables=variables)
    assert headers["authorization"] == "Basic eW91OnB3"


@pytest.mark.parametrize("text", [NETRC.replace("127.0.0.1", "example.org"), "machine", "\xff"])
def test_no_entry_for_the_host(fetch, recorder, tmp_path, text):
    """Without an entry of its own a host gets nothing; a file that is not valid is a warning."""
    (tmp_path / ".netrc").write_text(text, encoding="latin-1")
    assert "authorization" not in fetch(variables={"HOME": str(tmp_path)})
    assert len(recorder.warnings) == (0 if "login" in text else 1)


def test_secrets_stay_with_their_origin(fetch, http_server, tmp_path):
    """Neither a redirect nor a mirror of another origin gets tokens or headers."""
    (tmp_path / ".netrc").write_text(NETRC.replace("127.0.0.1", "example.org"))
    variables = {"TOKEN": "s3cr3t", "OTHER": "0ther", "HOME": str(tmp_path)}
    with LoopbackServer() as other:
        other.routes["/b"] = Reply(b"content")
        http_server.routes["/a"] = Reply(status=302, headers={"Location": f"{other.url}/b"})
        fetch(AUTH, CUSTOM, ACCEPT, variables=variables)
        http_server.routes["/a"] = Reply(status=404)
        fetch(AUTH, CUSTOM, variables=variables, mirrors=(f"{other.url}/b",))
        assert len(other.requests) == 2
        for request in other.requests:
            assert "authorization" not in request.headers
            assert "private-token" not in request.headers


@pytest.mark.parametrize("is_beside", [True, False])
def test_companions_of_a_file(http_server, tmp_path, recorder, is_beside):
    """Its checksum file and its signature get its credentials on its own origin, and no other."""
    forget_all()
    context = recorder.context({"TOKEN": "s3cr3t", "OTHER": "0ther"})
    digest = hashlib.sha256(b"content").hexdigest()
    url = http_server.url_with("me", "hunter22")
    http_server.routes["/a"] = Reply(b"content")
    with LoopbackServer() as other:
        host = http_server if is_beside else other
        host.routes["/sums"] = Reply(f"{digest}  a\n".encode())
        sums = SourceItem(
            source=f"{http_server.url}/a",
            base_dir=tmp_path,
            headers=(AUTH, CUSTOM),
            sha256sums=f"{host.url}/sums",
        )
        assert fetch_source(sums, tmp_path / "into", context).verified
        signature = Signature(KEY, source=f"{host.url}/none")
        for source, headers in ((sums.source, (AUTH, CUSTOM)), (f"{url}/a", ())):
            signed = SourceItem(
                source=source, base_dir=tmp_path, headers=headers, signature=signature
            )
            with pytest.raises(FetchError, match="/none"):
                fetch_source(signed, tmp_path / "into", context)
        companions = [each for each in host.requests if each.path != "/a"]
        assert [each.path for each in companions] == ["/sums", "/none", "/none"]
        expected = ["Bearer s3cr3t", "Bearer s3cr3t", None] if is_beside else [None] * 3
        assert [each.headers.get("authorization") for each in companions] == expected
        expected = ["0ther", "0ther", None] if is_beside else [None] * 3
        assert [each.headers.get("private-token") for each in companions] == expected
        own = [each.headers["authorization"] for each in http_server.requests if each.path == "/a"]
        assert own[:2] == ["Bearer s3cr3t"] * 2
        assert own[2] == basic("me:hunter22")
    forget_all()


def test_custom_headers_never_leave_tls(http_server, https_server, fetch):
    """A request with a header that may be a secret is not redirected from https to http."""
    server, certificates = https_server
    server.routes["/a"] = Reply(status=302, headers={"Location": f"{http_server.url}/a"})
    variables = {"SSL_CERT_FILE": str(certificates), "OTHER": "0ther"}
    with pytest.raises(FetchError, match="not encrypted"):
        fetch(CUSTOM, source=f"{server.url}/a", variables=variables)
    assert not http_server.requests


def test_missing_and_wrong_credentials(fetch, http_server):
    """The errors say how to give credentials, which is never in the address."""
    http_server.routes["/a"] = Reply(status=401)
    with pytest.raises(FetchError, match=r"/a requires credentials \(HTTP 401\)") as caught:
        fetch()
    assert "~/.netrc" in caught.value.hint
    assert 'auth = { env = "NAME" }' in caught.value.hint
    with pytest.raises(FetchError, match="does not accept the credentials that were sent"):
        fetch(AUTH, variables={"TOKEN": "s3cr3t"})
