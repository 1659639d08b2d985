"""Kept downloads in place of transfers, and what an offline run refuses."""

import dataclasses
import gzip
import hashlib
import os

import pytest
from loopback.http_server import Reply
from loopback.npm_registry import make_npm_tarball
from loopback.package_index import make_sdist, make_wheel

from envy.cache.downloads import Downloads
from envy.declarations.sources import SourceItem
from envy.errors import DigestMismatch, SourceLocation
from envy.transport import Offline, Sharing, fetch_source, resolve_ref

ARCHIVE = make_sdist("x", {"a": "1"})
WHEEL = make_wheel({"tool-1.0.data/scripts/tool": "x"})
TARBALL = make_npm_tarball({"package.json": "{}"})


def sha256(content):
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def fetch(recorder, tmp_path, package_index, npm_registry):
    """Fetch a source into a new folder, with the kept downloads of one cache."""
    folders = iter(range(100))
    environment = {
        "PATH": os.environ["PATH"],
        "PIP_INDEX_URL": package_index.url,
        "npm_config_registry": npm_registry.url,
    }

    def fetch(source, *, offline=False, variables=environment, shares=Sharing.UNPACKED, **fields):
        context = dataclasses.replace(
            recorder.context(variables),
            kept=Downloads(str(tmp_path / "cache"), project="one"),
            shares=shares,
            offline=offline,
            online="run it once online",
        )
        item = SourceItem(
            source=source,
            base_dir=tmp_path,
            origin=SourceLocation(tmp_path / "recipe.lua", 7),
            **fields,
        )
        return fetch_source(item, tmp_path / "cache" / f"into{next(folders)}", context)

    return fetch


@pytest.fixture
def download(tmp_path):
    """The kept file of a content."""

    def download(content):
        return tmp_path / "cache" / "downloads" / "sha256" / sha256(content)

    return download


def test_a_verified_download_is_made_once(fetch, http_server, download):
    """The second fetch takes the kept archive itself, as a second name, from whatever address."""
    http_server.routes["/x.tar.gz"] = Reply(ARCHIVE)
    first = fetch(f"{http_server.url}/x.tar.gz", sha256=sha256(ARCHIVE))
    again = fetch(f"{http_server.url}/moved.tar.gz", sha256=sha256(ARCHIVE))
    assert http_server.paths() == ["/x.tar.gz"]
    assert first.path.samefile(download(ARCHIVE))
    assert again.path.samefile(download(ARCHIVE))
    assert (again.path.name, again.verified, again.bytes) == ("moved.tar.gz", True, len(ARCHIVE))
    assert download(ARCHIVE).stat().st_mode & 0o777 == 0o444


@pytest.mark.parametrize(
    ("name", "fields"),
    [("data", {}), ("x.tar.gz", {"extract": False}), ("x.tar.gz", {"executable": True})],
)
def test_a_file_that_envy_does_not_unpack_is_a_copy(fetch, http_server, download, name, fields):
    """A script may change it, and its mode is that of any download."""
    content = b"x" if name == "data" else ARCHIVE
    http_server.routes[f"/{name}"] = Reply(content)
    modes = set()
    for _ in range(2):
        path = fetch(f"{http_server.url}/{name}", sha256=sha256(content), **fields).path
        modes.add(path.stat().st_mode & 0o777)
        assert not path.samefile(download(content))
        path.write_bytes(b"changed")
    assert modes == {0o755 if "executable" in fields else 0o644}
    assert http_server.paths() == [f"/{name}"]
    assert download(content).read_bytes() == content


def test_a_recipe_that_runs_nothing_shares_every_file(fetch, http_server, download):
    """Only the mode of an executable one would differ."""
    http_server.routes["/data"] = Reply(b"x")
    source = {"source": f"{http_server.url}/data", "sha256": sha256(b"x"), "extract": False}
    for executable in (False, True):
        path = fetch(shares=Sharing.EVERYTHING, executable=executable, **source).path
        assert path.samefile(download(b"x")) != executable
    assert http_server.paths() == ["/data"]


@pytest.mark.parametrize("shares", Sharing)
def test_what_may_be_changed_in_place_is_a_copy(fetch, http_server, download, shares):
    """Programs that decompress in place refuse a file with a second name."""
    single = gzip.compress(b"x")
    shared = []
    for name, content in (("x.tar.gz", ARCHIVE), ("x.gz", single)):
        http_server.routes[f"/{name}"] = Reply(content)
        for _ in range(2):
            url = f"{http_server.url}/{name}"
            path = fetch(url, sha256=sha256(content), shares=shares).path
            shared.append(path.samefile(download(content)))
    assert (
        shared
        == {
            Sharing.NOTHING: [False] * 4,
            Sharing.ARCHIVES: [True, True, False, False],
            Sharing.UNPACKED: [True] * 4,
            Sharing.EVERYTHING: [True] * 4,
        }[shares]
    )


def test_each_declared_digest_finds_the_file(fetch, http_server):
    """It is kept under all of them; one that contradicts the others is an error as ever."""
    from blake3 import blake3

    http_server.routes["/x"] = Reply(b"x")
    url, second = f"{http_server.url}/x", blake3(b"x").hexdigest()
    fetch(url, blake3=second)
    fetch(url, sha256=sha256(b"x"))
    fetch(url, sha256=sha256(b"x"), blake3=second)
    assert len(http_server.paths()) == 1
    with pytest.raises(DigestMismatch, match="blake3"):
        fetch(url, sha256=sha256(b"x"), blake3="0" * 64, offline=True)


@pytest.mark.parametrize(
    "damage",
    [b"", ARCHIVE[:-1], ARCHIVE + b"!", b"!" + ARCHIVE[1:]],
    ids=["empty", "truncated", "longer", "changed"],
)
def test_a_damaged_download_is_fetched_again(fetch, http_server, download, recorder, damage):
    """There is a warning, and no trace of it is left."""
    http_server.routes["/x.tar.gz"] = Reply(ARCHIVE)
    source = {"source": f"{http_server.url}/x.tar.gz", "sha256": sha256(ARCHIVE)}
    fetch(**source)
    download(ARCHIVE).unlink()
    download(ARCHIVE).write_bytes(damage)
    assert fetch(**source).path.read_bytes() == ARCHIVE
    assert "was damaged, and is removed" in recorder.warnings[0]
    assert len(http_server.paths()) == 2
    assert download(ARCHIVE).read_bytes() == ARCHIVE
    download(ARCHIVE).unlink()
    download(ARCHIVE).write_bytes(damage)
    with pytest.raises(Offline):
        fetch(**source, offline=True)


def test_a_download_that_cannot_be_kept_is_used(fetch, http_server, recorder, tmp_path):
    """The fetch succeeds, with a warning that says why."""
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "downloads").write_text("no folder")
    http_server.routes["/x.tar.gz"] = Reply(ARCHIVE)
    fetched = fetch(f"{http_server.url}/x.tar.gz", sha256=sha256(ARCHIVE))
    assert fetched.path.read_bytes() == ARCHIVE
    assert "x.tar.gz cannot be kept for later use: " in recorder.warnings[0]


def test_a_download_without_a_digest_is_not_kept(fetch, http_server, tmp_path):
    """Nothing has verified it; the error of an offline run says so."""
    http_server.routes["/x.tar.gz"] = Reply(ARCHIVE)
    fetch(f"{http_server.url}/x.tar.gz")
    assert not (tmp_path / "cache" / "downloads").exists()
    with pytest.raises(Offline) as raised:
        fetch(f"{http_server.url}/x.tar.gz", offline=True)
    assert str(raised.value).splitlines() == [
        f"{http_server.url}/x.tar.gz is needed, and envy works offline (--offline, ENVY_OFFLINE)",
        "  hint: run it once online; a download without a digest is not kept",
    ]
    assert raised.value.origin == SourceLocation(tmp_path / "recipe.lua", 7)


@pytest.mark.parametrize("pinned", [False, True])
def test_what_registries_served_is_used_without_asking_them(
    fetch, http_server, package_index, npm_registry, pinned
):
    """With a digest at any time; without, the last file of the project while envy is offline."""
    package_index.add("tool", "tool-1.0-py3-none-any.whl", WHEEL)
    npm_registry.add("@acme/tool", "1.0.0", TARBALL)
    wheel, tarball = ({"sha256": sha256(content)} if pinned else {} for content in (WHEEL, TARBALL))
    fetch("pypi:tool==1.0", **wheel)
    fetch("npm:@acme/tool@1.0.0", **tarball)
    http_server.requests.clear()
    for offline in (True, False) if pinned else (True,):
        found = fetch("pypi:tool==1.0", offline=offline, **wheel)
        assert found.path.name == "tool-1.0-py3-none-any.whl"
        found = fetch("npm:@acme/tool@1.0.0", offline=offline, **tarball)
        assert found.path.name == "acme-tool-1.0.0.tgz"
    assert http_server.paths() == []
    if not pinned:
        fetch("pypi:tool==1.0")
        assert http_server.paths() == ["/simple/tool/"]
        http_server.requests.clear()
    with pytest.raises(Offline, match=r"pypi:tool==1\.0|/simple/tool/"):
        fetch("pypi:tool==1.0", offline=True, kind="sdist")
    assert http_server.paths() == []


def test_an_index_on_this_machine_is_not_elsewhere(fetch, tmp_path):
    """A `file:` index is read; another one is neither asked nor looked for."""
    folder = tmp_path / "index" / "tool"
    folder.mkdir(parents=True)
    (folder / "tool-1.0-py3-none-any.whl").write_bytes(WHEEL)
    (folder / "index.html").write_text('<a href="tool-1.0-py3-none-any.whl">x</a>')
    named = {"PIP_INDEX_URL": (tmp_path / "index").as_uri()}
    assert fetch("pypi:tool==1.0", offline=True, variables=named).path.read_bytes() == WHEEL
    with pytest.raises(Offline, match=r"pypi:tool==1\.0 is needed"):
        fetch("pypi:tool==1.0", offline=True, variables={})
    with pytest.raises(Offline, match=r"npm:tool@1\.0 is needed"):
        fetch("npm:tool@1.0", offline=True, variables={})


def test_a_repository_on_this_machine_is_not_elsewhere(
    fetch, git_repository, http_server, recorder
):
    """One that is elsewhere is not asked, whatever git's settings call it."""
    commit = git_repository.commit({"a": "1"})
    served = git_repository.served_by(http_server)
    http_server.requests.clear()
    assert fetch(str(git_repository.path), ref="main", offline=True).verified is False
    for ref in ("main", commit):
        recorder.programs.clear()
        with pytest.raises(Offline, match="is needed"):
            fetch(served, ref=ref, offline=True)
        assert recorder.programs == []
    renamed = {
        "PATH": os.environ["PATH"],
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.{served.rpartition('/')[0]}/.insteadOf",
        "GIT_CONFIG_VALUE_0": f"{git_repository.path.parent}/",
    }
    with pytest.raises(Exception, match="not allowed"):
        fetch(str(git_repository.path), ref="main", offline=True, variables=renamed)
    assert http_server.paths() == []


@pytest.mark.parametrize("address", ["git@host.invalid:a/b.git", "ssh://host.invalid/b.git"])
def test_ssh_is_elsewhere(recorder, tmp_path, address):
    """Neither git nor ssh is started."""
    context = dataclasses.replace(recorder.context(), offline=True)
    item = SourceItem(source=address, ref="main", base_dir=tmp_path)
    with pytest.raises(Offline, match=r"host\.invalid"):
        resolve_ref(item, context)
    assert recorder.programs == []
