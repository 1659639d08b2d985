"""Digests that registries list: what is none is their error, and never part of a path."""

import base64
import dataclasses
import json

import pytest
from loopback.http_server import Reply
from loopback.npm_registry import make_npm_tarball

from envy.cache.downloads import Downloads
from envy.declarations.sources import SourceItem
from envy.errors import FetchError
from envy.transport import fetch_source
from envy.transport.digests import ExpectedDigest
from envy.transport.index_page import listed_digest, parse_html_page
from envy.transport.npm_tarball import integrity_of

WHEEL = "tool-1.0-py3-none-any.whl"
JSON = {"Content-Type": "application/vnd.pypi.simple.v1+json"}
RIGHT = "a" * 64


@pytest.fixture
def theirs(tmp_path):
    """Things of the user, and a kept download."""
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "work").write_text("mine")
    (tmp_path / "file").write_text("mine")
    kept = tmp_path / "cache" / "downloads" / "sha256"
    kept.mkdir(parents=True)
    (kept / RIGHT).write_text("kept")
    return tmp_path


@pytest.fixture
def fetch(recorder, theirs, http_server):
    def fetch(source, **fields):
        context = dataclasses.replace(
            recorder.context(
                {
                    "PIP_INDEX_URL": f"{http_server.url}/simple",
                    "npm_config_registry": f"{http_server.url}/npm/",
                }
            ),
            kept=Downloads(str(theirs / "cache"), project="one"),
        )
        item = SourceItem(source=source, base_dir=theirs, **fields)
        return fetch_source(item, theirs / "into", context)

    return fetch


def all_below(path):
    return sorted(str(each.relative_to(path)) for each in path.rglob("*") if each.name != "into")


@pytest.mark.parametrize("form", ["html", "json"])
@pytest.mark.parametrize(
    "digest",
    [
        "{0}/project",
        "{0}/file",
        "../../../project",
        ".",
        "\0",
        "ab",
        "g" * 64,
        RIGHT[1:] + "\ud800",
    ],
)
def test_no_digest_of_an_index_is_a_path(theirs, http_server, fetch, form, digest):
    """A text that is no digest is an error that names the file, and nothing is removed."""
    digest = digest.format(theirs)
    if form == "json":
        row = {"filename": WHEEL, "url": "x.whl", "hashes": {"sha256": digest}}
        page = Reply(json.dumps({"files": [row]}).encode(), headers=JSON)
    else:
        anchor = f'<a href="{WHEEL}#sha256={digest}">x</a>'
        page = Reply(anchor.encode("utf-8", "replace"), headers={"Content-Type": "text/html"})
    http_server.routes["/simple/tool/"] = page
    before = all_below(theirs)
    with pytest.raises(
        FetchError, match="the package index gives a sha256 digest that is none"
    ) as (caught):
        fetch("pypi:tool==1.0")
    assert WHEEL in str(caught.value)
    assert f"{http_server.url}/simple/tool/" in str(caught.value)
    assert all_below(theirs) == before


@pytest.mark.parametrize("integrity", ["sha256-", "sha512-", "sha512-AAAA", "sha256-../../project"])
def test_no_integrity_of_a_registry_is_a_path(theirs, http_server, fetch, integrity):
    """An integrity that is no digest is an error, too; the kept downloads stay."""
    dist = {"tarball": f"{http_server.url}/t.tgz", "integrity": integrity}
    document = {"versions": {"1.0.0": {"dist": dist}}}
    http_server.routes["/npm/tool"] = Reply(json.dumps(document).encode())
    http_server.routes["/t.tgz"] = Reply(make_npm_tarball({"package.json": "{}"}))
    before = all_below(theirs)
    says = (
        r"the npm registry gives a sha\d+ digest that is none: [^\n]*\n  the package is npm:tool@"
    )
    with pytest.raises(FetchError, match=says):
        fetch("npm:tool@1.0.0")
    assert all_below(theirs) == before


def test_a_digest_beside_other_words():
    """Other parts of a fragment are no part of the digest; an empty digest is none at all."""
    page = f'<a href="{WHEEL}#sha256={RIGHT.upper()}&egg=tool"></a><a href="{WHEEL}#sha256="></a>'
    one, other = parse_html_page(page.encode(), "https://index.test/")
    assert listed_digest(one).hexdigest == RIGHT
    assert listed_digest(other) is None


def test_integrity_with_unknown_algorithms():
    """Algorithms that envy does not know are skipped."""
    right = base64.b64encode(bytes.fromhex(RIGHT)).decode()
    [found] = integrity_of({"integrity": f"sha3-x sha256-{right}?opt"}, "x")
    assert (found.algorithm, found.hexdigest) == ("sha256", RIGHT)


@pytest.mark.parametrize("digest", ["", "A" * 64, "a" * 63, "a" * 65, "/" + "a" * 63, "sha256"])
def test_no_path_for_what_is_no_digest(theirs, digest):
    """The cache refuses such a name itself, and so does the data of an expected digest."""
    kept = Downloads(str(theirs / "cache"))
    for use in (kept.path, kept.find, kept.drop):
        with pytest.raises(ValueError, match="is not a digest"):
            use("sha256", digest)
    with pytest.raises(FetchError, match="digest that is none"):
        ExpectedDigest(algorithm="sha256", hexdigest=digest)
    assert (theirs / "cache" / "downloads" / "sha256" / RIGHT).exists()
