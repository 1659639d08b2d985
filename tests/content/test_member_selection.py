"""Taking a part of an archive: `only`, `exclude`, and which files become executable."""

import os
import tarfile
import zipfile

import pytest
from packed import tar_of

from envy.content.archive import extract_below
from envy.content.below_root import open_below
from envy.content.member_selection import MemberSelection
from envy.errors import ArchiveError

FILES = ("bin/tool", "bin/.hidden", "lib/a.so", "lib/deep/b.so", "share/doc/readme", "top")


@pytest.mark.parametrize(
    ("only", "exclude", "taken"),
    [
        (("bin",), (), "bin/tool bin/.hidden"),
        (("bin/*", "top"), (), "bin/tool top"),
        (("**/*.so",), (), "lib/a.so lib/deep/b.so"),
        (("lib/**",), ("lib/deep",), "lib/a.so"),
        ((), ("share", "**/*.so", "bin/.*"), "bin/tool top"),
    ],
)
def test_patterns(only, exclude, taken):
    """A file is taken if `only` matches it or a folder that it is in, and `exclude` does not."""
    select = MemberSelection(only=only, exclude=exclude)
    assert [one for one in FILES if select.takes(tuple(one.split("/")))] == taken.split()
    assert select.unused() == []


def tree(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir())


def unpack(archive, dest, *, strip=0, **patterns):
    with open_below(dest) as below:
        extract_below(archive, below, ("in",), strip=strip, select=MemberSelection(**patterns))


@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_a_part_of_an_archive(tmp_path, kind):
    """Patterns are for what `strip` leaves; folders that are left out are not created."""
    archive, dest = tmp_path / f"a.{kind}", tmp_path / "dest"
    names = [f"top-1.0/{name}" for name in FILES]
    if kind == "tar":
        folder = ("top-1.0/empty", None)
        archive.write_bytes(tar_of(folder, *((name, b"#!/bin/sh\n") for name in names)))
    else:
        with zipfile.ZipFile(archive, "w") as made:
            for name in ("top-1.0/empty/", *names):
                made.writestr(zipfile.ZipInfo(name), "#!/bin/sh\n" if name[-1] != "/" else "")
    dest.mkdir()
    unpack(
        archive, dest, strip=1, only=("bin", "lib"), exclude=("lib/deep",), executable=("bin/*",)
    )
    assert tree(dest) == ["in/bin/.hidden", "in/bin/tool", "in/lib/a.so"]
    assert not (dest / "in/empty").exists()
    assert os.access(dest / "in/bin/tool", os.X_OK)
    if kind == "zip":
        assert not os.access(dest / "in/lib/a.so", os.X_OK)


def test_links_to_what_is_left_out(tmp_path):
    """A hard link to a file that is left out is a copy of it; a symbolic link stays a link."""
    archive, dest = tmp_path / "a.tar", tmp_path / "dest"
    archive.write_bytes(
        tar_of(
            ("data/file", b"content"),
            ("bin/hard", (tarfile.LNKTYPE, "data/file")),
            ("bin/soft", (tarfile.SYMTYPE, "../data/file")),
        )
    )
    dest.mkdir()
    unpack(archive, dest, only=("bin",))
    assert (dest / "in/bin/hard").read_bytes() == b"content"
    assert str((dest / "in/bin/soft").readlink()) == "../data/file"
    assert tree(dest) == ["in/bin/hard", "in/bin/soft"]


@pytest.mark.parametrize("only", [(), ("bin",)])
def test_a_hard_link_becomes_executable(tmp_path, only):
    """`executable` matches a link by its own name, also if the link becomes a copy."""
    archive, dest = tmp_path / "a.tar", tmp_path / "dest"
    with tarfile.open(archive, "w") as tar:
        for name, kind, to in (
            ("lib/tool", tarfile.REGTYPE, ""),
            ("lib/tools/inner", tarfile.REGTYPE, ""),
            ("bin/tool", tarfile.LNKTYPE, "lib/tool"),
            ("bin/other", tarfile.LNKTYPE, "lib/tool"),
        ):
            info = tarfile.TarInfo(name)  # with the mode 644
            info.type, info.linkname = kind, to
            tar.addfile(info)
    dest.mkdir()
    unpack(archive, dest, only=only, executable=("bin/tool",))
    assert os.access(dest / "in/bin/tool", os.X_OK)
    # Files are executable by all of their names.
    assert os.access(dest / "in/bin/other", os.X_OK) != bool(only)


@pytest.mark.parametrize("field", ["only", "executable"])
def test_a_pattern_that_matches_nothing(tmp_path, field):
    """A pattern of `only` or `executable` that matches nothing is an error."""
    archive, dest = tmp_path / "a.tar", tmp_path / "dest"
    archive.write_bytes(tar_of(("bin/tool", b"x")))
    dest.mkdir()
    with pytest.raises(ArchiveError) as caught:
        unpack(archive, dest, **{field: ("bin", "sbin/*")})
    assert caught.value.message == f'no file of {archive} matches "sbin/*" of `{field}`'
