"""What an object of a depot costs that cannot be read: itself, and neither the run nor the rest."""

import base64
import contextlib
import errno
import os

import pytest

from envy.cache.layout import CacheLayout
from envy.content.archive import tar_members
from envy.declarations.signature import Signature
from envy.errors import ArchiveError
from envy.sharing.depot import OpenDepot
from envy.sharing.folder_shelf import FolderShelf
from envy.sharing.object_names import shared_name, signer_in, without_root
from envy.sharing.shelf import Unreadable
from envy.transport.context import NotFound

KEY = "0123456789abcdef" * 4


class Place:
    """A place with one file for every cache, which is gone or fails once it is read."""

    shown = "file:///depot"

    def __init__(self, path):
        self.path = path
        self.asked = []

    @contextlib.contextmanager
    def open(self, name, _into, _context):
        self.asked.append(name)
        if without_root(name) != name:
            raise NotFound("none", uri=self.shown)
        yield self.path


@pytest.fixture
def entry(tmp_path):
    return CacheLayout(tmp_path / "cache").entry("local.gn@r0", "linux-x86_64", KEY)


def taken(depot, entry, tmp_path, recorder):
    found = depot.take(CacheLayout(tmp_path / "cache"), entry, KEY, recorder.context())
    assert not entry.directory.exists()
    return found.missed


def test_an_object_that_is_removed_while_it_is_read(entry, tmp_path, recorder):
    """Another machine prunes: that is a miss like any other."""
    depot = OpenDepot(Place(tmp_path / "gone"), ())
    assert taken(depot, entry, tmp_path, recorder) == "it does not have it"
    assert recorder.warnings == []


def test_objects_that_cannot_be_read(entry, tmp_path, recorder):
    """Each is a miss with a warning, and the third ends the use of the depot."""
    depot = OpenDepot(Place(tmp_path), ())  # to read a folder is an error
    for number in (1, 2, 3):
        assert "Is a directory" in taken(depot, entry, tmp_path, recorder)
        assert depot.is_off == (number == 3)
    assert len(recorder.warnings) == 3


def test_another_signer(entry, tmp_path, recorder):
    """What one signer has stored may be damaged, and what another has, sound."""
    keys = [Signature(base64.b64encode(b"Ed" + bytes([number] * 40)).decode()) for number in (7, 8)]
    place = Place(tmp_path)
    assert "Is a directory" in taken(OpenDepot(place, keys), entry, tmp_path, recorder)
    assert [signer_in(name) for name in place.asked] == ["07" * 8, "08" * 8]


def test_an_object_that_is_no_file(entry, tmp_path, recorder):
    """The other objects of a folder are still taken; `has` says that the name is in use."""
    place = tmp_path / "depot" / shared_name(entry, KEY, "")
    place.mkdir(parents=True)
    shelf = FolderShelf(f"file://{tmp_path}/depot")
    with pytest.raises(Unreadable, match="is not a plain file"), shelf.open("v2", place, None):
        pass
    assert shelf.has(shared_name(entry, KEY, ""), None)
    with pytest.raises(NotFound), shelf.open("v2/none", place, None):
        pass
    depot = OpenDepot(shelf, ())
    assert "is not a plain file" in taken(depot, entry, tmp_path, recorder)
    assert not depot.is_off


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_an_object_that_others_may_not_read(entry, tmp_path, recorder):
    """A writer with a strict umask does not stop the machines that read."""
    place = tmp_path / "depot" / shared_name(entry, KEY, "")
    place.parent.mkdir(parents=True)
    place.touch(mode=0)
    depot = OpenDepot(FolderShelf(f"file://{tmp_path}/depot"), ())
    assert os.strerror(errno.EACCES) in taken(depot, entry, tmp_path, recorder)


def test_a_tar_that_cannot_be_opened(tmp_path):
    """It is an error of this file, by its name."""
    with pytest.raises(ArchiveError, match="gone: No such file"):
        next(tar_members(tmp_path / "gone"))
