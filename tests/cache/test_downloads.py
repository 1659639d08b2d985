"""The downloads that the cache keeps: whole or not at all, and nothing but plain files."""

import contextlib
import errno
import hashlib
import json
import os
import time
from pathlib import Path

import pytest
from fault_injection import FaultyFileSystem, every_step

from envy.cache.downloads import Downloads, KnownFile
from envy.cache.filesystem import FileSystem
from envy.cache.layout import CacheLayout
from envy.cache.verify_downloads import verify_downloads

DATA = b"content of a download"
DIGEST = hashlib.sha256(DATA).hexdigest()
DIGESTS = {"sha256": DIGEST, "sha512": hashlib.sha512(DATA).hexdigest(), "sha1": "0" * 40}


@pytest.fixture
def part(tmp_path):
    """A file that was downloaded and verified."""
    path = tmp_path / "cache" / "part"
    path.parent.mkdir()
    path.write_bytes(DATA)
    return path


@pytest.fixture
def kept(tmp_path):
    return Downloads(str(tmp_path / "cache"), project="one")


def content(kept, algorithm="sha256", digest=DIGEST):
    """Return the content of a download; None if it is not kept."""
    descriptor = kept.find(algorithm, digest)
    if descriptor is None:
        return None
    with open(descriptor, "rb") as file:  # noqa: PTH123 - a descriptor
        return file.read()


@pytest.mark.parametrize("shared", [True, False])
def test_a_file_is_kept_under_each_strong_digest(kept, part, shared):
    """The working file is the kept one only if it is to be shared; SHA-1 names nothing."""
    kept.keep(str(part), DIGESTS, shared=shared)
    one, other = (Path(kept.path(name, DIGESTS[name])).stat() for name in ("sha256", "sha512"))
    assert one.st_ino == other.st_ino
    assert (part.stat().st_ino == one.st_ino) == shared
    assert not one.st_mode & 0o222
    assert bool(part.stat().st_mode & 0o200) != shared
    assert content(kept) == content(kept, "sha512", DIGESTS["sha512"]) == DATA
    assert kept.find("sha1", DIGESTS["sha1"]) is None


def test_a_share_is_a_second_name(kept, part, tmp_path):
    """It needs no copy; without the download there is none."""
    assert not kept.share("sha256", DIGEST, str(tmp_path / "cache" / "target"))
    kept.keep(str(part), DIGESTS, shared=False)
    assert kept.share("sha256", DIGEST, str(tmp_path / "cache" / "target"))
    assert (tmp_path / "cache" / "target").samefile(kept.path("sha256", DIGEST))


class WithoutLinks(FileSystem):
    """A file system on which a file has one name."""

    def link(self, source, target):
        raise OSError(errno.EPERM, os.strerror(errno.EPERM), source)


def test_without_second_names_a_copy_is_kept(tmp_path, part):
    """The working file stays as it is, with its content kept beside it."""
    kept = Downloads(str(tmp_path / "cache"), files=WithoutLinks())
    kept.keep(str(part), {"sha256": DIGEST}, shared=True)
    assert content(kept) == DATA
    assert not part.samefile(kept.path("sha256", DIGEST))
    assert not kept.share("sha256", DIGEST, str(tmp_path / "cache" / "target"))


def place(kind, path, outside):
    """Put something that is no download at the path of one."""
    if kind == "link":
        path.symlink_to(outside)
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
        (path / "inside").touch()
    else:
        path.symlink_to("nowhere")


@pytest.mark.parametrize("kind", ["link", "fifo", "folder", "dangling"])
def test_what_is_no_plain_file_is_removed(kept, part, tmp_path, kind):
    """It is neither opened nor followed, and a download can take its place."""
    outside = tmp_path / "outside"
    outside.write_bytes(DATA)
    path = tmp_path / "cache" / "downloads" / "sha256" / DIGEST
    path.parent.mkdir(parents=True)
    place(kind, path, outside)
    assert [damage for *_, damage in verify_downloads(CacheLayout(tmp_path / "cache"))] == [
        "it is not a plain file"
    ]
    assert kept.find("sha256", DIGEST) is None
    assert not os.path.lexists(path)
    assert outside.read_bytes() == DATA
    kept.keep(str(part), DIGESTS, shared=True)
    assert content(kept) == DATA


@pytest.mark.parametrize("linked", ["downloads", "downloads/sha256"])
def test_a_linked_folder_is_not_followed(kept, part, tmp_path, linked):
    """Nothing is read or written where it leads."""
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "sha256").mkdir(parents=True)
    for path in (elsewhere / DIGEST, elsewhere / "sha256" / DIGEST):
        path.write_bytes(DATA)
    link = tmp_path / "cache" / linked
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(elsewhere)
    assert kept.find("sha256", DIGEST) is None
    assert list(verify_downloads(CacheLayout(tmp_path / "cache"))) == []
    with pytest.raises(OSError, match="exists"):
        kept.keep(str(part), DIGESTS, shared=True)
    assert sorted(path.name for path in elsewhere.iterdir()) == sorted([DIGEST, "sha256"])


def test_use_is_noted_by_the_time_of_the_file(kept, part):
    """A download that was used an hour ago counts as used now."""
    kept.keep(str(part), DIGESTS, shared=False)
    path = Path(kept.path("sha256", DIGEST))
    os.utime(path, (1, 1))
    assert content(Downloads(str(path.parents[3] / "other"), writes=False)) is None
    reader = Downloads(str(part.parent), writes=False)
    assert content(reader) == DATA
    assert path.stat().st_mtime == 1
    assert content(kept) == DATA
    assert path.stat().st_mtime > time.time() - 3600


def test_without_writing_nothing_changes(part, tmp_path):
    """A plan reads downloads, and neither keeps nor removes any."""
    reader = Downloads(str(tmp_path / "cache"), writes=False)
    reader.keep(str(part), DIGESTS, shared=True)
    reader.remember("pypi:x==1", pinned=True, known=KnownFile(name="x.whl", sha256=DIGEST))
    reader.drop("sha256", DIGEST)
    assert [path.name for path in part.parent.iterdir()] == ["part"]


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("reason", [errno.ENOSPC, None])
def test_every_step_may_fail_or_be_the_last(tmp_path, shared, reason):
    """Whatever happens, a name has the whole content; the next time everything is kept."""

    class Ended(BaseException):
        """The process ended."""

    def fault():
        if reason is None:
            raise Ended
        raise OSError(reason, os.strerror(reason), "path")

    def run(step):
        root = tmp_path / str(step)
        root.mkdir()
        (root / "part").write_bytes(DATA)
        files = FaultyFileSystem(step, fault, halfway=False)
        with contextlib.suppress(Ended, OSError):
            Downloads(str(root), files=files).keep(str(root / "part"), DIGESTS, shared=shared)
        kept = Downloads(str(root))
        assert content(kept) in {DATA, None}
        kept.keep(str(root / "part"), DIGESTS, shared=shared)
        assert content(kept) == DATA
        return files.met

    assert {"make_dir", "set_mode"} <= set(every_step(run))


def test_names_are_remembered_for_one_project_unless_pinned(kept, part):
    """A registry's choice serves its project alone; a digest pins it for all."""
    other = Downloads(str(part.parent), project="other")
    known = KnownFile(name="x-1-py3-none-any.whl", sha256=DIGEST)
    kept.remember("pypi:x==1", pinned=False, known=known)
    assert kept.recall("pypi:x==1", pinned=False) == known
    assert other.recall("pypi:x==1", pinned=False) is None
    kept.remember("pypi:x==1", DIGEST, pinned=True, known=known)
    assert other.recall("pypi:x==1", DIGEST, pinned=True) == known


BAD_NAME = json.dumps({"name": "../x", "sha256": DIGEST})


@pytest.mark.parametrize("text", ["", "[]", "{}", BAD_NAME, '{"name": "x", "sha256": "../y"}'])
def test_a_damaged_record_is_none(kept, tmp_path, text):
    """It names nothing, and is written anew."""
    known = KnownFile(name="x", sha256=DIGEST)
    kept.remember("x", pinned=True, known=known)
    [record] = (tmp_path / "cache" / "downloads" / "names").iterdir()
    record.write_text(text)
    assert kept.recall("x", pinned=True) is None
    kept.remember("x", pinned=True, known=known)
    assert kept.recall("x", pinned=True) == known


def test_verification_names_what_differs(kept, part):
    """Each kept file is compared with its name."""
    kept.keep(str(part), {"sha256": DIGEST}, shared=False)
    layout = CacheLayout(part.parent)
    assert list(verify_downloads(layout)) == [("sha256", DIGEST, "")]
    path = Path(kept.path("sha256", DIGEST))
    path.chmod(0o644)
    path.write_bytes(DATA + b"!")
    assert list(verify_downloads(layout)) == [("sha256", DIGEST, "its content differs")]
