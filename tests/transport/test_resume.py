"""A download that was interrupted is continued by the next process, if it is still the same."""

import hashlib
import json
import random

import pytest
from loopback.http_server import Reply

from envy.cache.downloads import Downloads
from envy.declarations.sources import SourceItem
from envy.errors import Cancelled, FetchError
from envy.transport import fetch_source
from envy.transport.part_file import LEAST_KEPT, range_of, version_of

BODY = random.Random(2).randbytes(LEAST_KEPT + 2_000_000)
DIGEST = hashlib.sha256(BODY).hexdigest()
HEADERS = {"ETag": '"1"'}
WHOLE = Reply(BODY, ranges=True, headers=HEADERS)
BROKEN = Reply(BODY, ranges=True, headers=HEADERS, breaks_after=900_000)
LATER = Reply(status=503)


@pytest.fixture
def fetch(tmp_path, recorder, http_server):
    """Fetch as a new process would, with the cache of the test."""

    def fetch(**settings):
        digest = settings.pop("sha256", DIGEST)
        address = settings.pop("address", f"{http_server.url}/a")
        kept = Downloads(str(tmp_path / "cache"))
        context = recorder.context(retries=0, kept=kept, **settings)
        item = SourceItem(source=address, base_dir=tmp_path, sha256=digest)
        return fetch_source(item, tmp_path / "into", context)

    (tmp_path / "cache").mkdir()
    return fetch


def partials(tmp_path):
    """Return the content of the partial downloads in the cache."""
    return [
        path.read_bytes()
        for path in sorted((tmp_path / "cache" / "downloads" / "partial").iterdir())
        if ".json" not in path.name
    ]


def interrupted(fetch, http_server, tmp_path, reply=BROKEN, **settings):
    """Let a download break after 900,000 bytes."""
    http_server.routes["/a"] = [reply, LATER]
    with pytest.raises(FetchError, match="HTTP 503"):
        fetch(**settings)
    assert partials(tmp_path) == [BODY[:900_000]]
    http_server.routes["/a"] = WHOLE
    http_server.requests.clear()
    http_server.sent.clear()


@pytest.mark.parametrize("digest", [DIGEST, ""])
def test_the_next_process_transfers_the_rest(fetch, http_server, tmp_path, digest):
    """Only what is missing is requested, for the same version, and nothing partial is left."""
    interrupted(fetch, http_server, tmp_path, sha256=digest)
    assert fetch(sha256=digest).sha256 == DIGEST
    [request] = http_server.requests
    assert (request.headers["range"], request.headers["if-range"]) == ("bytes=900000-", '"1"')
    assert http_server.sent == {"/a": len(BODY) - 900_000}
    assert partials(tmp_path) == []


def test_the_first_download_of_a_cache(fetch, http_server, tmp_path):
    """It is continued as well, although there was no cache before it."""
    (tmp_path / "cache").rmdir()
    interrupted(fetch, http_server, tmp_path)
    assert fetch().sha256 == DIGEST
    assert http_server.sent == {"/a": len(BODY) - 900_000}


def test_another_version(fetch, http_server, tmp_path):
    """If the server has another version, or no such range, the download starts over."""
    for reply in (Reply(BODY), Reply(status=416)):
        interrupted(fetch, http_server, tmp_path)
        http_server.routes["/a"] = [reply, WHOLE]
        assert fetch(address=f"{http_server.url}/a", sha256=DIGEST).sha256 == DIGEST
        (tmp_path / "into" / "a").unlink()
        for path in (tmp_path / "cache" / "downloads" / "sha256").iterdir():
            path.unlink()


@pytest.mark.parametrize(
    "changed",
    [
        {"headers": {"ETag": '"2"'}},
        {"body": BODY + b"x"},
        {"ranges": False, "status": 206, "headers": {"Content-Range": "bytes 0-9/700000"}},
        {"ranges": False, "status": 206},
    ],
)
def test_a_server_that_continues_something_else(fetch, http_server, tmp_path, changed):
    """A part that does not belong to what an earlier process had is not appended."""
    interrupted(fetch, http_server, tmp_path)
    fields = {"body": BODY, "ranges": True, "headers": HEADERS} | changed
    http_server.routes["/a"] = [Reply(**fields), WHOLE]
    assert fetch().sha256 == DIGEST
    assert http_server.sent["/a"] >= len(BODY)


@pytest.mark.parametrize("field", [{"checked": -1}, {"checked": 1 << 60}, {"version": ""}])
def test_a_damaged_record(fetch, http_server, tmp_path, field):
    """A record with numbers that cannot be is none, and the download begins again."""
    interrupted(fetch, http_server, tmp_path, sha256="")
    [path] = (tmp_path / "cache" / "downloads" / "partial").glob("*.json*")
    path.write_text(json.dumps(json.loads(path.read_text()) | field))
    assert fetch(sha256="").sha256 == DIGEST
    assert http_server.sent == {"/a": len(BODY)}


@pytest.mark.parametrize("digest", [DIGEST, ""])
@pytest.mark.parametrize("damage", [b"x", b"x" * 899_999])
def test_damaged_partial_content(fetch, http_server, tmp_path, digest, damage):
    """Content that was lost in a power failure is found by its digest, and fetched again."""
    interrupted(fetch, http_server, tmp_path, sha256=digest)
    [path] = (tmp_path / "cache" / "downloads" / "partial").glob("*[0-9a-f].new")
    with path.open("r+b") as file:
        file.write(damage)
    assert fetch(sha256=digest).sha256 == DIGEST
    assert (tmp_path / "into" / "a").read_bytes() == BODY


def test_another_address_continues(fetch, http_server, tmp_path):
    """With a known digest, the rest comes from wherever the content is, and only once."""
    interrupted(fetch, http_server, tmp_path)
    tagged = Reply(BODY, ranges=True, headers={"ETag": '"other"'}, breaks_after=800_000)
    http_server.routes["/b"] = [Reply(status=503), tagged, tagged]
    for message in ("HTTP 503", ""):
        if message:
            with pytest.raises(FetchError, match=message):
                fetch(address=f"{http_server.url}/b")
            assert partials(tmp_path) == [BODY[:900_000]]
        else:
            assert fetch(address=f"{http_server.url}/b").sha256 == DIGEST
    ranges = [
        (request.headers.get("range"), request.headers.get("if-range"))
        for request in http_server.requests
    ]
    assert ranges == [
        ("bytes=900000-", None),
        ("bytes=900000-", None),
        ("bytes=1700000-", '"other"'),
        ("bytes=2500000-", '"other"'),
    ]
    assert (tmp_path / "into" / "b").read_bytes() == BODY
    assert http_server.sent == {"/b": len(BODY) - 900_000}


@pytest.mark.parametrize(
    "reply",
    [
        Reply(BODY),
        Reply(status=416),
        Reply(BODY + b"x", ranges=True),
        Reply(b"x" * len(BODY), ranges=True),
        Reply(BODY, ranges=True, headers={"Content-Encoding": "br"}),
    ],
    ids=["no ranges", "no such range", "another size", "other content", "encoded"],
)
def test_another_address_that_does_not_continue(fetch, http_server, tmp_path, reply):
    """What is not the rest of the content is not used; the digest decides at the end."""
    interrupted(fetch, http_server, tmp_path)
    http_server.routes["/b"] = [reply, WHOLE]
    assert fetch(address=f"{http_server.url}/b").sha256 == DIGEST
    assert (tmp_path / "into" / "b").read_bytes() == BODY
    assert partials(tmp_path) == []


def test_without_a_digest_an_address_goes_on_alone(fetch, http_server, tmp_path):
    """Nothing says that two addresses have the same content."""
    interrupted(fetch, http_server, tmp_path, sha256="")
    http_server.routes["/b"] = WHOLE
    assert fetch(address=f"{http_server.url}/b", sha256="").sha256 == DIGEST
    assert "range" not in http_server.requests[0].headers


def test_a_wrong_digest_keeps_the_file(fetch, http_server, tmp_path):
    """The error names both digests, the address and where the file is kept."""
    http_server.routes["/a"] = Reply(b"an error page")
    actual = hashlib.sha256(b"an error page").hexdigest()
    with pytest.raises(FetchError) as caught:
        fetch()
    kept = tmp_path / "cache" / "downloads" / "refused" / actual
    assert caught.value.message.split("\n") == [
        f"sha256 of {http_server.url}/a does not match the declared digest",
        f"  expected {DIGEST}",
        f"  actual   {actual}",
        f"  kept as  {kept}",
    ]
    assert kept.read_bytes() == b"an error page"
    assert list((tmp_path / "into").iterdir()) == []
    kept.parent.chmod(0o500)
    http_server.routes["/a"] = Reply(b"another")
    with pytest.raises(FetchError, match="does not match the declared digest"):
        fetch()
    kept.parent.chmod(0o700)


@pytest.mark.parametrize("digest", [DIGEST, ""])
def test_a_process_that_was_killed_at_the_end(fetch, http_server, tmp_path, digest):
    """A partial file that has everything is used without a request if its digest is known."""
    interrupted(fetch, http_server, tmp_path, sha256=digest)
    [path] = (tmp_path / "cache" / "downloads" / "partial").glob("*[0-9a-f].new")
    path.write_bytes(BODY)
    assert fetch(sha256=digest).sha256 == DIGEST
    assert bool(http_server.requests) is not bool(digest)


def test_a_cancelled_download_is_continued(fetch, http_server, tmp_path, recorder):
    """Ctrl-C keeps what was transferred."""
    http_server.routes["/a"] = WHOLE
    with pytest.raises(Cancelled):
        fetch(cancelled=lambda: bool(recorder.progress))
    [partial] = partials(tmp_path)
    assert 0 < len(partial) < len(BODY)
    http_server.sent.clear()
    assert fetch().sha256 == DIGEST
    assert http_server.sent == {"/a": len(BODY) - len(partial)}


@pytest.mark.parametrize(
    "reply",
    [
        Reply(BODY, breaks_after=900_000),
        Reply(BODY, ranges=True, headers={"ETag": 'W/"1"'}, breaks_after=900_000),
        Reply(BODY[: LEAST_KEPT - 1], ranges=True, headers=HEADERS, breaks_after=900_000),
        Reply(BODY, ranges=True, headers=HEADERS | {"Content-Encoding": "br"}, breaks_after=9),
    ],
    ids=["no ranges", "weak tag", "small", "encoded"],
)
def test_what_is_not_kept(fetch, http_server, tmp_path, reply):
    """What cannot be continued, or is small, leaves nothing."""
    http_server.routes["/a"] = [reply, LATER]
    with pytest.raises(FetchError, match="HTTP 503"):
        fetch()
    assert not (tmp_path / "cache" / "downloads").exists() or partials(tmp_path) == []


def test_secrets_are_in_no_name_and_no_record(fetch, http_server, tmp_path):
    """The files of a partial download say nothing about credentials or tokens of its address."""
    address = f"{http_server.url_with('me', 'hunter22')}/a?token=s3cr3t"
    http_server.routes["/a"] = [BROKEN, LATER]
    with pytest.raises(FetchError) as caught:
        fetch(address=address)
    stored = [str(caught.value)]
    for path in (tmp_path / "cache" / "downloads" / "partial").iterdir():
        stored += [path.name, path.read_bytes().decode("latin-1")]
    assert all("hunter22" not in text and "s3cr3t" not in text for text in stored)
    http_server.routes["/a"] = WHOLE
    # A token that was renewed in the meantime does not matter.
    assert fetch(address=address.replace("s3cr3t", "renewed!")).sha256 == DIGEST
    assert http_server.requests[-1].headers["range"] == "bytes=900000-"


def test_a_folder_that_cannot_be_written(fetch, http_server, tmp_path):
    """Without a place for partial downloads, the file is fetched as before."""
    http_server.routes["/a"] = WHOLE
    (tmp_path / "cache" / "downloads").mkdir()
    (tmp_path / "cache" / "downloads" / "partial").write_text("a file")
    assert fetch().sha256 == DIGEST
    assert [path.name for path in (tmp_path / "into").iterdir()] == ["a"]


DATE, EARLIER = "Wed, 01 Jan 2025 00:00:01 GMT", "Wed, 01 Jan 2025 00:00:00 GMT"


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"etag": '"x"'}, '"x"'),
        ({"etag": '"x"', "last-modified": EARLIER, "date": DATE}, '"x"'),
        ({"etag": 'W/"x"'}, ""),
        ({"etag": 'W/"x"', "last-modified": EARLIER, "date": DATE}, EARLIER),
        ({"last-modified": EARLIER, "date": DATE}, EARLIER),
        ({"last-modified": DATE, "date": DATE}, ""),
        ({"last-modified": EARLIER}, ""),
        ({"etag": '"x\r\n y"'}, ""),
        ({"last-modified": "yesterday", "date": DATE}, ""),
        ({}, ""),
    ],
)
def test_the_version_of_content(headers, expected):
    """Only what names the same bytes is a version: a strong tag, or a date that is over."""
    assert version_of({"accept-ranges": "bytes", **headers}) == expected
    assert version_of(headers) == version_of({"accept-ranges": "none", **headers}) == ""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("bytes 0-9/10", (0, 9, 10)),
        ("bytes 5-9/*", (5, 9, 0)),
        ("bytes 0-9/5", (-1, -1, 0)),
        ("bytes 0-9/x", (-1, -1, 0)),
        ("bytes -9/10", (-1, -1, 0)),
        ("bytes */10", (-1, -1, 0)),
        ("lines 0-9/10", (-1, -1, 0)),
        (f"bytes 0-{'9' * 30}/10", (-1, -1, 0)),
        ("", (-1, -1, 0)),
    ],
)
def test_content_range(text, expected):
    """Only a range that is valid as a whole is one."""
    assert range_of(text) == expected
