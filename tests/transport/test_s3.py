"""Objects of a store are requested like any download, with addresses that are signed."""

import hashlib
import random
from urllib.parse import parse_qs, urlsplit

import pytest
from loopback.http_server import Reply

from envy.cache.downloads import Downloads
from envy.declarations.request_headers import RequestHeader
from envy.declarations.sources import SourceItem, parse_source_items
from envy.errors import DeclarationError, FetchError, UsageError
from envy.masking import forget_all, masked
from envy.transport import fetch_source
from envy.transport.context import NotFound, Offline

pytest.importorskip("obstore", reason="obstore, the extra s3, is missing")

BODY = random.Random(3).randbytes(2_500_000)
KEYS = {"AWS_ACCESS_KEY_ID": "AKID", "AWS_SECRET_ACCESS_KEY": "s3cr3t-one"}
CREDENTIALS = """[default]
aws_access_key_id = OFFILE
aws_secret_access_key = s3cr3t-file

[work]
aws_access_key_id=OFWORK
aws_secret_access_key=s3cr3t-work
aws_session_token=t0ken-work
"""
CONFIG = """[default]
region = eu-north-1
[profile work]
region = eu-west-1
[profile cloud]
role_arn = arn:aws:iam::1:role/x
"""


@pytest.fixture
def fetch(tmp_path, recorder, http_server):
    """Fetch an object from the server of the test; return what was requested first."""
    forget_all()

    def fetch(source="s3://bucket/dir/a b+c.txt", *, variables=KEYS, context=None, **settings):
        item = SourceItem(source=source, base_dir=tmp_path, **settings)
        given = {"AWS_ENDPOINT_URL": http_server.url, "HOME": str(tmp_path), **variables}
        fetch_source(item, tmp_path / "into", recorder.context(given, **(context or {})))
        return parse_qs(urlsplit(http_server.requests[0].path).query)

    yield fetch
    forget_all()


@pytest.fixture
def aws_files(tmp_path):
    folder = tmp_path / ".aws"
    folder.mkdir()
    (folder / "credentials").write_text(CREDENTIALS)
    (folder / "config").write_text(CONFIG)
    return folder


def serve(http_server, reply=None, path="/bucket/dir/a%20b%2Bc.txt"):
    http_server.routes[path] = reply or Reply(b"content")


def test_variables(fetch, http_server, tmp_path):
    """Keys in variables sign the address; the secret is in no request, and .netrc adds nothing."""
    serve(http_server)
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me password hunter22\n")
    query = fetch()
    assert query["X-Amz-Credential"][0].startswith("AKID/")
    assert "/us-east-1/s3/" in query["X-Amz-Credential"][0]
    assert query["X-Amz-Expires"] == ["900"]
    [request] = http_server.requests
    assert "authorization" not in request.headers
    assert "s3cr3t" not in f"{request}"
    assert (tmp_path / "into" / "a b+c.txt").read_bytes() == b"content"
    assert masked("s3cr3t-one") == "***"


@pytest.mark.parametrize(
    ("variables", "settings", "key", "region", "token"),
    [
        ({}, {}, "OFFILE", "eu-north-1", None),
        (KEYS, {}, "AKID", "eu-north-1", None),
        ({**KEYS, "AWS_SESSION_TOKEN": "t0ken"}, {}, "AKID", "eu-north-1", "t0ken"),
        ({"AWS_PROFILE": "work"}, {}, "OFWORK", "eu-west-1", "t0ken-work"),
        (
            {"AWS_PROFILE": "work", "AWS_REGION": "ap-south-1"},
            {},
            "OFWORK",
            "ap-south-1",
            "t0ken-work",
        ),
        ({**KEYS, "AWS_REGION": "x"}, {"profile": "work"}, "OFWORK", "eu-west-1", "t0ken-work"),
        ({**KEYS, "K": "A:s3cr3t-b"}, {"headers": "K"}, "A", "eu-north-1", None),
        ({**KEYS, "K": "A:s3cr3t-b:c/d="}, {"headers": "K"}, "A", "eu-north-1", "c/d="),
    ],
)
def test_order(fetch, http_server, aws_files, variables, settings, key, region, token):
    """What the source names counts before variables, and those before the default profile."""
    serve(http_server)
    if "headers" in settings:
        settings = {"headers": (RequestHeader(name="authorization", variable="K"),)}
    query = fetch(variables=variables, **settings)
    assert query["X-Amz-Credential"][0].split("/")[0] == key
    assert query["X-Amz-Credential"][0].split("/")[2] == region
    assert query.get("X-Amz-Security-Token", [None]) == [token]


@pytest.mark.parametrize(
    ("variables", "settings", "says"),
    [
        ({"AWS_ACCESS_KEY_ID": "AKID"}, {}, "AWS_SECRET_ACCESS_KEY is not set"),
        (
            {},
            {"profile": "none"},
            "needs the profile none, which is not in .*config or .*credentials",
        ),
        ({"AWS_PROFILE": "none"}, {}, "needs the profile none"),
        ({}, {"headers": "K"}, "the variable K, which its source names, is not set"),
        ({"K": "s3cr3t-only"}, {"headers": "K"}, "is not of the form KEY_ID:SECRET"),
        ({**KEYS, "AWS_ENDPOINT_URL": "ftp://x"}, {}, "is not of the form https://HOST"),
        ({**KEYS, "AWS_ENDPOINT_URL": "http://u:s3cr3t@x"}, {}, "is not of the form https://HOST"),
        ({"AWS_CONFIG_FILE": "/dev/zero"}, {}, "/dev/zero cannot be read: is not a plain file"),
    ],
)
def test_wrong_settings(fetch, http_server, aws_files, variables, settings, says):
    """A setting that is missing or not valid is an error before any request, without secrets."""
    if "headers" in settings:
        settings = {"headers": (RequestHeader(name="authorization", variable="K"),)}
    with pytest.raises(FetchError, match=says) as caught:
        fetch(variables=variables, **settings)
    assert "s3cr3t" not in f"{caught.value} {caught.value.hint}"
    assert not http_server.requests


@pytest.mark.parametrize("text", [b"s3cr3t\n", b"[a]\ns3cr3t-x\n", b"[a\xff]"])
def test_a_file_of_credentials_that_is_none(fetch, aws_files, text):
    """The error names the file, and shows nothing of it."""
    (aws_files / "credentials").write_bytes(text)
    with pytest.raises(FetchError, match=r"\.aws/credentials") as caught:
        fetch()
    assert "s3cr3t" not in str(caught.value)


def error(code, status, **headers):
    return Reply(f"<Error><Code>{code}</Code></Error>".encode(), status=status, headers=headers)


@pytest.mark.parametrize(
    ("variables", "reply", "says", "hint"),
    [
        (
            {},
            error("AccessDenied", 403),
            r"nor in a profile \(HTTP 403, AccessDenied\)",
            "AWS_ACCESS_KEY_ID and AWS_SECRET",
        ),
        (
            {"AWS_PROFILE": "cloud"},
            Reply(status=403),
            "the profile cloud gets its own by role_arn, which envy does not do",
            "name a profile",
        ),
        (
            KEYS,
            error("AccessDenied", 403),
            "the credentials of AWS_ACCESS_KEY_ID may not read it",
            "check the key",
        ),
        (
            KEYS,
            error("InvalidAccessKeyId", 403),
            "the credentials of AWS_ACCESS_KEY_ID are not valid",
            "set AWS_ACCESS",
        ),
        (KEYS, error("ExpiredToken", 400), "are not valid, or have expired", "set AWS_ACCESS"),
        (KEYS, error("RequestTimeTooSkewed", 403), "the clock of this machine", "set the clock"),
        (KEYS, error("NoSuchKey", 404), r"does not exist: there is no such object", "the key"),
        (KEYS, error("NoSuchBucket", 404), r"does not exist: there is no such bucket", "bucket"),
        (KEYS, error("PermanentRedirect", 301), "another region than us-east-1", "set AWS_REGION"),
        (
            KEYS,
            Reply(status=500),
            r"s3://bucket/dir/a b\+c.txt could not be served \(HTTP 500\)",
            "",
        ),
        (
            KEYS,
            Reply(silent=True),
            r"could not fetch s3://bucket/dir/a b\+c.txt: the connection",
            "",
        ),
    ],
)
def test_refusals(fetch, http_server, tmp_path, variables, reply, says, hint):
    """What a store answers is explained, and no error shows a signature."""
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws" / "config").write_text("[profile cloud]\nrole_arn = x\n")
    serve(http_server, reply)
    with pytest.raises(FetchError, match=says) as caught:
        fetch(variables=variables, context={"retries": 0})
    assert hint in caught.value.hint
    assert isinstance(caught.value, NotFound) == ("does not exist:" in says)
    assert "X-Amz" not in str(caught.value)
    assert ("X-Amz" in http_server.requests[0].path) == (variables is KEYS)


@pytest.mark.parametrize("variables", [KEYS, {}])
def test_the_region_of_the_bucket(fetch, http_server, variables):
    """A store that names the region of a bucket is asked again for it, once for each bucket."""
    wrong = error("PermanentRedirect", 301, **{"x-amz-bucket-region": "eu-west-3"})
    serve(http_server, [wrong, Reply(b"content")])
    fetch(variables=variables)
    query = parse_qs(urlsplit(http_server.requests[1].path).query)
    assert ("/eu-west-3/" in str(query)) == bool(variables)
    http_server.routes["/bucket/dir/other"] = wrong
    with pytest.raises(FetchError, match="region"):
        fetch("s3://bucket/dir/other", variables=variables)
    assert len(http_server.requests) == 4


def test_a_download_goes_on(fetch, http_server, tmp_path):
    """A download that breaks is continued with a range, by the next process, too."""
    (tmp_path / "cache").mkdir()
    headers = {"ETag": '"1"'}
    broken = Reply(BODY, ranges=True, headers=headers, breaks_after=1_900_000)
    serve(http_server, [broken, Reply(status=503)], "/bucket/big")
    digest = hashlib.sha256(BODY).hexdigest()
    settings = {"retries": 0, "kept": Downloads(str(tmp_path / "cache"))}
    with pytest.raises(FetchError, match="HTTP 503"):
        fetch("s3://bucket/big", sha256=digest, context=settings)
    serve(http_server, Reply(BODY, ranges=True, headers=headers), "/bucket/big")
    fetch("s3://bucket/big", sha256=digest, context=settings)
    assert http_server.requests[-1].headers["range"] == "bytes=1900000-"
    assert "X-Amz-Signature" in http_server.requests[-1].path
    assert (tmp_path / "into" / "big").read_bytes() == BODY


def test_offline(fetch, http_server):
    """Offline, nothing is requested."""
    with pytest.raises(Offline, match="s3://bucket/dir/a b"):
        fetch(context={"offline": True})
    assert not http_server.requests


@pytest.mark.parametrize(
    "source",
    ["s3://bucket", "s3://bucket/", "s3:///key", "s3:bucket/key", "s3://b/key", "s3://bucket/a//b",
     "s3://bucket/../a", "s3://bucket/a/.", "s3://bucket/a/", "s3://buc@ket/a", "s3://bucket/a\nb"],
)  # fmt: skip
def test_not_an_object(tmp_path, source):
    """A source must name a bucket and a key."""
    with pytest.raises(DeclarationError, match="is not of the form s3://BUCKET/KEY"):
        parse_source_items(source, origin=None, base_dir=tmp_path)


def test_fields(tmp_path):
    """`auth` and `profile` are for s3 sources, `mirrors` and `headers` are not."""

    def parse(**table):
        return parse_source_items(table, origin=None, base_dir=tmp_path)[0]

    item = parse(source="s3://bucket/a?b", auth={"env": "K"}, profile="work")
    assert (item.headers[0].variable, item.profile) == ("K", "work")
    with pytest.raises(DeclarationError, match="`profile` is for s3: sources"):
        parse(source="https://example.org/a", profile="work")
    with pytest.raises(DeclarationError, match="`headers` is for http: and https: sources"):
        parse(source="s3://bucket/a", headers={"a": "b"})
    with pytest.raises(DeclarationError, match="`auth` is for http:, https:, s3: and oci: sources"):
        parse(source="npm:a@1", auth={"env": "K"})


def test_without_the_library(fetch, http_server, monkeypatch):
    """The error names the command that installs it."""
    import sys

    monkeypatch.setitem(sys.modules, "obstore", None)
    with pytest.raises(UsageError) as caught:
        fetch()
    assert f"{caught.value}" == (
        "a source s3://BUCKET/KEY needs the library obstore\n  hint: pip install 'envy-tool[s3]'"
    )
    assert not http_server.requests
