"""Documents of registries: what is too large, nested or many is an error that names the limit."""

import gzip
import sys
import threading
import zlib

import pytest
from bounded import outcome_of
from loopback.http_server import Reply

from envy.declarations.sources import SourceItem
from envy.errors import Cancelled, FetchError
from envy.limits import adopt_limits
from envy.transport import fetch_source
from envy.transport.http import read_page
from envy.transport.idle import VARIABLE, TooSlow
from envy.transport.index_page import ReleaseFile, parse_html_page, parse_json_page
from envy.transport.page_body import read_body
from envy.transport.wheel_choice import WheelRequest, choose_wheel

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

MIB = 1 << 20
BASE = "https://index.example/simple/tool/"
KINDS = {
    "pypi:tool==1.0": ("/simple/tool/", "PIP_INDEX_URL", "/simple"),
    "npm:tool@1.0.0": ("/tool", "npm_config_registry", "/"),
}
ENCODINGS = {"gzip": gzip.compress, "deflate": zlib.compress, "zstd": zstd.compress}


@pytest.fixture(autouse=True)
def _default_limits():
    yield
    adopt_limits({})


@pytest.fixture(params=KINDS)
def answered(request, http_server, recorder, tmp_path):
    """Fetch from a registry that gives this answer; return the outcome."""
    path, variable, folder = KINDS[request.param]

    def answered(body, **headers):
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        http_server.routes[path] = Reply(body, headers=named)
        item = SourceItem(source=request.param, base_dir=tmp_path)
        context = recorder.context({variable: http_server.url + folder})
        return outcome_of(fetch_source, item, tmp_path / "into", context)

    return answered


def test_a_document_that_is_too_large(answered):
    """A document of more than the limit is an error, and is not cut."""
    adopt_limits({"registry-document": MIB})
    kind, text = answered(b" " * (2 * MIB), content_type="application/json")
    assert (kind, "is larger than 1 MiB, the limit registry-document" in text) == ("error", True)
    assert "ENVY_LIMITS=registry-document=2M" in text


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_document_that_is_too_large_once_it_is_decoded(answered, encoding):
    """A small body that decodes to more than the limit is an error."""
    body = ENCODINGS[encoding](b" " * (200 * MIB))
    kind, text = answered(body, content_type="application/json", content_encoding=encoding)
    assert (kind, "is larger than 64 MiB, the limit registry-document" in text) == ("error", True)


def test_a_document_that_is_encoded_twice_or_damaged(answered):
    """An encoding that envy does not know, and one that the body does not have, are errors."""
    for encoding in ("gzip, gzip", "br", "gzip", "deflate", "zstd"):
        kind, text = answered(b"{}" * 100, content_encoding=encoding)
        assert (kind, f"came with Content-Encoding {encoding}, and cannot be decoded" in text) == (
            "error",
            True,
        ), text


def test_documents_of_very_many_values(answered):
    """A document that decodes to millions of values is an error."""
    body = b'{"files":[' + b"[]," * (3 * MIB) + b"[]]}"
    body = body.replace(b"files", b"versions") + b" " * 10 if b"npm" in body else body
    kind, text = answered(body, content_type="application/json")
    assert (kind, "more than 2000000 values, the limit registry-values" in text) == ("error", True)


def test_a_nested_document(answered):
    """A document that is nested a thousand deep is not a valid one."""
    for body in (b"[" * 100_000, b'{"files":' + b"[" * 900 + b"]" * 900 + b"}"):
        kind, text = answered(body, content_type="application/json")
        assert kind == "error", text


HOSTILE_PAGES = {
    "unfinished comments": b"<!--" * 500_000,
    "unfinished tags": b"<a " * 500_000,
    "unfinished attributes": b'<a href="' * 200_000,
    "many attributes": b"<a" + b" x=y" * 500_000 + b">",
    "unfinished scripts": b"<script " * 300_000,
    "unfinished declarations": b"<!a" * 500_000 + b"<![CDATA[" * 100_000,
    "references": b'<a href="' + b"&amp" * 4000 + b'">' + b"&#" + b"9" * 100_000 + b";",
    "a large number": b'<a href="x&#' + b"9" * 8000 + b';.whl">x</a>',
    "spaces": b"<a" + b" " * 1_000_000 + b"x",
    "many bases": b'<base href="a/">' * 50_000 + b'<a href="x">',
}


@pytest.mark.parametrize("name", HOSTILE_PAGES)
def test_pages_that_are_made_to_be_slow(name):
    """A page takes time that is linear in its size, whatever it holds."""
    kind, found = outcome_of(parse_html_page, HOSTILE_PAGES[name], BASE)
    assert kind == "value", found


def test_a_page_of_very_many_files():
    """A page that lists more files than the limit is an error."""
    adopt_limits({"registry-files": 100})
    with pytest.raises(FetchError, match="more than 100 files, the limit registry-files"):
        parse_html_page(b"<a href=x-1.whl>" * 101, BASE)
    row = b'{"filename":"x-1.whl","url":"x"}'
    with pytest.raises(FetchError, match="more than 100 files, the limit registry-files"):
        parse_json_page(b'{"files":[' + b",".join([row] * 101) + b"]}", BASE)


PAGE = b"""<!DOCTYPE html><html><head><base href=../files/></head><body>
<!-- <a href="no.whl">no</a> --><script>"<a href=no.whl>"</script>
<A class=x HREF='tool-1.0.whl#sha256=ab&amp;x' data-yanked>tool</A>
<a data-yanked = "why &gt;" href= tool-2.0.whl>tool</a><a>none</a><abbr href=no.whl>
<a href="tool%2D3.0.whl" href="no.whl"/><a href="evil%2fname.whl">
"""


def test_an_html_page():
    """Anchors are read as browsers do: quoted or not, in any case, and not inside of comments."""
    found = [
        (file.name, file.url, file.digest, file.yanked) for file in parse_html_page(PAGE, BASE)
    ]
    at = "https://index.example/simple/files/"
    assert found == [
        ("tool-1.0.whl", f"{at}tool-1.0.whl", ("sha256", "ab"), ""),
        ("tool-2.0.whl", f"{at}tool-2.0.whl", None, "why >"),
        ("tool-3.0.whl", f"{at}tool%2D3.0.whl", None, None),
    ]


def test_the_name_of_a_wheel_that_means_very_many_tags():
    """All combinations of the parts of a name count; beyond the limit, it is an error."""
    parts = [".".join(f"{letter}{number}" for number in range(20)) for letter in "abc"]
    file = ReleaseFile(name=f"tool-1.0-{'-'.join(parts)}.whl", url="u", page=BASE)
    request = WheelRequest(name="tool", version=None)
    with pytest.raises(FetchError, match="means 8000 tags, more than the limit wheel-tags, 1000"):
        choose_wheel(request, [file])


def test_long_names_are_not_file_names():
    """A name that no file can have is passed over, however it would be parsed."""
    name = b"a-" * 20_000 + b"1.0.tar.gz"
    assert outcome_of(parse_html_page, b"<a href=" + name + b">", BASE) == ("value", ())


def test_an_integrity_that_is_not_ascii(http_server, recorder, tmp_path):
    """An integrity that cannot be decoded is passed over, not an error of Python."""
    dist = '{"tarball": "http://127.0.0.1:1/x.tgz", "integrity": "sha512-\\u00e9\\u00e9"}'
    http_server.routes["/tool"] = Reply(f'{{"versions":{{"1.0.0":{{"dist":{dist}}}}}}}'.encode())
    item = SourceItem(source="npm:tool@1.0.0", base_dir=tmp_path)
    context = recorder.context({"npm_config_registry": http_server.url})
    kind, text = outcome_of(fetch_source, item, tmp_path / "into", context)
    assert kind == "error", text


class _Dripping:
    """An answer of which a byte arrives now and then, for ever."""

    def __init__(self):
        self.bytes = 0

    def read1(self, _most, *, decode_content):
        threading.Event().wait(0.02)
        self.bytes += 1
        return b" "


def test_a_document_that_hardly_arrives(recorder):
    """A document is given up like a download, and a run that is cancelled does not wait for it."""
    context = recorder.context({VARIABLE: "0.05"})
    with pytest.raises(TooSlow, match="the idle timeout"):
        read_body(_Dripping(), "https://h/x", context)
    dripping = _Dripping()
    context = recorder.context(cancelled=lambda: dripping.bytes == 2)
    with pytest.raises(Cancelled):
        read_body(dripping, "https://h/x", context)


def test_a_document_that_breaks_off(http_server, recorder):
    """A part of a document is never taken for the document."""
    http_server.routes["/x"] = [Reply(b"x" * 5000, breaks_after=3000), Reply(b"y" * 5000)]
    body, _, _ = read_page(f"{http_server.url}/x", recorder.context(), headers={})
    assert body == b"y" * 5000
    http_server.routes["/x"] = Reply(b"x" * 5000, breaks_after=3000)
    with pytest.raises(FetchError, match="the connection broke before the content was complete"):
        read_page(f"{http_server.url}/x", recorder.context(), headers={})
