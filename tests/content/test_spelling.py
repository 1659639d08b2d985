"""Names that a file system does not distinguish are found, and never replace each other."""

import os
import re
import unicodedata

import pytest

from envy.content.archive_errors import named_errors
from envy.content.below_root import open_below
from envy.content.spelling import SameToFileSystem, check_spelling, stored_name
from envy.errors import ArchiveError


class Folder:
    """A folder of a file system that ignores what `fold` removes from names."""

    def __init__(self, *names, fold=str.casefold):
        self.names = names
        self.fold = fold
        self.listings = 0

    def look(self, name):
        for number, stored in enumerate(self.names):
            if self.fold(stored) == self.fold(name):
                return os.stat_result((0o100644, number, 1, 1, 0, 0, 0, 0, 0, 0))
        return None

    def list(self):
        self.listings += 1
        return self.names

    def stored(self, name):
        return stored_name(name, self.look, self.list)


def composed(name):
    return unicodedata.normalize("NFC", name)


@pytest.mark.parametrize(
    ("folder", "name", "stored"),
    [
        (Folder("a", "readme"), "README", "readme"),
        (Folder("ReadMe"), "README", "ReadMe"),
        (Folder("README"), "README", "README"),
        (Folder("other"), "README", "README"),
        (Folder("Caf\xe9", fold=composed), "Cafe\u0301", "Caf\xe9"),
        (Folder("cafe\u0301", fold=composed), "caf\xe9", "cafe\u0301"),
        (Folder("1.2", "2"), "1.2", "1.2"),
    ],
)
def test_the_name_under_which_a_file_is_stored(folder, name, stored):
    """Another spelling of case or of composed letters is found."""
    assert folder.stored(name) == stored


def test_a_folder_is_listed_only_if_names_are_alike():
    """Where names are distinguished, replacing a file does not read its folder."""
    folder = Folder("README", "caf\xe9", fold=str)
    assert [folder.stored(name) for name in folder.names] == ["README", "caf\xe9"]
    assert folder.listings == 0


def test_the_error_has_both_whole_paths():
    """A folder may be what is spelled otherwise; the item that came first is named."""
    folders = [Folder("Docs"), Folder("A")]

    def check(path, item_at=None):
        check_spelling(
            path, len, item_at, stored_in=lambda depth, name: folders[depth].stored(name)
        )

    check(("Docs", "A"))
    with pytest.raises(SameToFileSystem, match=r"^Docs/A and docs/a cannot both be written"):
        check(("docs", "a"))
    items = {("Docs", "A"): "a.tar"}
    with pytest.raises(
        SameToFileSystem, match=r"^Docs/A, brought by a.tar, and docs/A cannot both"
    ):
        check(("docs", "A"), items.get)


def test_the_error_names_the_archive(tmp_path):
    """It is an error of the archive that was being unpacked."""
    archive = tmp_path / "b.tar"
    message = f"could not unpack {archive}: README and readme cannot both be written"
    with pytest.raises(ArchiveError, match=re.escape(message)), named_errors(archive):
        raise SameToFileSystem(("README",), ("readme",))


def test_names_below_a_root(tmp_path):
    """Both files exist afterwards, or the second is an error and the first is whole."""
    with open_below(tmp_path / "root") as below:
        for name in ("README", "README"):  # the same name replaces
            os.close(below.create_file((name,), 0o644))
        (tmp_path / "root/README").write_text("first")
        ignores_case = (tmp_path / "root/readme").exists()
        if ignores_case:
            with pytest.raises(SameToFileSystem):
                below.create_file(("readme",), 0o644)
        else:
            os.close(below.create_file(("readme",), 0o644))
            assert (tmp_path / "root/readme").read_text() == ""
    assert (tmp_path / "root/README").read_text() == "first"


def test_hard_links_of_alike_names_are_no_conflict(tmp_path):
    """Where names are distinguished, two names of one file are replaced one by one."""
    with open_below(tmp_path) as below:
        os.close(below.create_file(("README",), 0o644))
        try:
            os.link(tmp_path / "README", tmp_path / "readme")
        except FileExistsError:
            pytest.skip("this file system ignores case")
        os.close(below.create_file(("readme",), 0o644))
    assert not (tmp_path / "README").samefile(tmp_path / "readme")
