"""Links that lead to what `subdir` leaves out are replaced by copies of their targets."""

import io
import stat
import tarfile
import zipfile

import pytest

from envy.content.archive import extract
from envy.content.below_root import open_below
from envy.content.beside import Copies, TooManyCopies, lowest_level
from envy.content.brought import Brought
from envy.errors import ArchiveError
from envy.limits import Limit


def tar_of(rows, path):
    """Write a tar: a text is a file (executable after `*`), `-> x` a link, `=> x` a hard link."""
    with tarfile.open(path, "w") as tar:
        for name, text in rows:
            info = tarfile.TarInfo(name.rstrip("*/"))
            info.mode = 0o755 if name.endswith("*") else 0o644
            info.mtime = 1_600_000_000
            if text[:3] in {"-> ", "=> "}:
                info.type = tarfile.SYMTYPE if text[0] == "-" else tarfile.LNKTYPE
                info.linkname = text[3:]
                tar.addfile(info)
            elif name.endswith("/"):
                info.type = tarfile.DIRTYPE
                tar.addfile(info)
            else:
                info.size = len(text)
                tar.addfile(info, io.BytesIO(text.encode()))


def zip_of(rows, path):
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in rows:
            info = zipfile.ZipInfo(name.rstrip("*"))
            info.create_system = 3
            is_link = text.startswith("-> ")
            mode = stat.S_IFLNK | 0o777 if is_link else stat.S_IFREG | 0o644
            info.external_attr = (mode | (0o111 if name.endswith("*") else 0)) << 16
            archive.writestr(info, text[3:] if is_link else text)


def tree(top):
    """The files and links below a folder, and empty folders."""
    found = {}
    for path in sorted(top.rglob("*")):
        name = path.relative_to(top).as_posix()
        if path.is_symlink():
            found[name] = f"-> {path.readlink()}"
        elif path.is_file():
            found[name] = path.read_text()
        elif not any(path.iterdir()):
            found[f"{name}/"] = ""
    return found


# Members, and what the folder p/sub of them becomes.
CASES = {
    "a file": ([("p/a", "1"), ("p/sub/l", "-> ../a")], {"l": "1"}),
    "a file that comes later": ([("p/sub/l", "-> ../a"), ("p/a", "1")], {"l": "1"}),
    "at the top": ([("a", "1"), ("p/sub/d/l", "-> ../../../a")], {"d/l": "1"}),
    "a link to a link": (
        [("p/a", "1"), ("p/b", "-> a"), ("c", "-> p/b"), ("p/sub/l", "-> ../../c")],
        {"l": "1"},
    ),
    "a link to another": (
        [("p/a", "1"), ("p/sub/l", "-> ../a"), ("p/sub/m", "-> l")],
        {"l": "1", "m": "-> l"},
    ),
    "a folder": (
        [("p/o/a", "1"), ("p/o/d/b", "2"), ("p/o/e/c", "3"), ("p/sub/l", "-> ../o")],
        {"l/a": "1", "l/d/b": "2", "l/e/c": "3"},
    ),
    "through a folder": (
        [("p/o/a", "1"), ("p/sub/l", "-> ../o"), ("p/sub/m", "-> l/a")],
        {"l/a": "1", "m": "-> l/a"},
    ),
    "links inside a folder": (
        [("p/o/d/a", "1"), ("p/o/d/l", "-> ../b"), ("p/o/b", "2"), ("p/sub/l", "-> ../o")],
        {"l/d/a": "1", "l/d/l": "-> ../b", "l/b": "2"},
    ),
    "links out of a folder": (
        [
            *(("p/o/l", "-> ../q"), ("p/q/a", "1"), ("p/q/m", "-> ../r"), ("p/r", "2")),
            *(("p/sub/l", "-> ../o"), ("p/sub/again", "-> ../q")),
        ],
        {"l/l/a": "1", "l/l/m": "2", "again/a": "1", "again/m": "2"},
    ),
    "back into the part": (
        [
            *(("p/sub/a", "1"), ("p/sub/d/b", "2"), ("p/s", "-> sub")),
            *(("p/sub/l", "-> ../sub/a"), ("p/sub/m", "-> ../s/d")),
        ],
        {"a": "1", "d/b": "2", "l": "1", "m/b": "2"},
    ),
    "inside the part": (
        [("p/sub/a", "1"), ("p/sub/d/l", "-> ../a"), ("p/sub/d/up", "-> ..")],
        {"a": "1", "d/l": "-> ../a", "d/up": "-> .."},
    ),
    "replaced by a file": ([("p/a", "1"), ("p/sub/l", "-> ../a"), ("p/sub/l", "2")], {"l": "2"}),
    "in place of a file": ([("p/a", "1"), ("p/sub/l", "2"), ("p/sub/l", "-> ../a")], {"l": "1"}),
    "replaced by a link": (
        [("p/a", "1"), ("p/sub/b", "2"), ("p/sub/l", "-> ../a"), ("p/sub/l", "-> b")],
        {"b": "2", "l": "-> b"},
    ),
    "files behind it": (
        [("p/o/a", "1"), ("p/sub/l", "-> ../o"), ("p/sub/l/b", "2"), ("p/o/b", "3")],
        {"l/a": "1", "l/b": "3"},
    ),
    "a hard link": ([("p/a", "1"), ("p/sub/l", "=> p/a")], {"l": "1"}),
    "a hard link to a link to nothing": (
        [("p/b", "-> a"), ("p/sub/l", "=> p/b"), ("p/sub/x", "1")],
        {"l": "-> a", "x": "1"},
    ),
    "an empty folder": (
        [("p/o/", ""), ("p/sub/l", "-> ../o"), ("p/sub/a", "1")],
        {"l/": "", "a": "1"},
    ),
}


@pytest.mark.parametrize("into", ["", "deep/er"])
@pytest.mark.parametrize("case", CASES)
def test_a_copy_takes_the_place(tmp_path, case, into):
    """Whatever leads there, and whatever the target is, the content is that of the archive."""
    rows, expected = CASES[case]
    tar_of(rows, tmp_path / "a.tar")
    extract(tmp_path / "a.tar", tmp_path / "out" / into, subdir="p/sub")
    assert tree(tmp_path / "out" / into) == expected


ZIPPED = [
    case
    for case, (rows, expected) in CASES.items()
    if len({name for name, _ in rows}) == len(rows)
    and not any(text.startswith("=> ") or name.endswith("/") for name, text in rows)
]


@pytest.mark.parametrize("case", ZIPPED)
def test_the_same_of_a_zip(tmp_path, case):
    """Zips have the same links."""
    rows, expected = CASES[case]
    zip_of(rows, tmp_path / "a.zip")
    extract(tmp_path / "a.zip", tmp_path / "out", strip=1, subdir="sub")
    assert tree(tmp_path / "out") == expected


def test_a_copy_keeps_mode_and_time(tmp_path):
    """A copy is executable if its target is, and has its time; it is a file of its own."""
    tar_of([("bin/tool*", "x"), ("sub/l", "-> ../bin/tool")], tmp_path / "a.tar")
    extract(tmp_path / "a.tar", tmp_path / "out", subdir="sub")
    status = (tmp_path / "out/l").stat()
    assert (status.st_mode & 0o100, status.st_mtime, status.st_nlink) == (0o100, 1_600_000_000, 1)


def test_what_strip_leaves_out(tmp_path):
    """`strip` drops files as well, and moves others."""
    rows = [("top", "1"), ("a/l", "-> ../top"), ("a/m", "-> ../b/x"), ("b/x", "2")]
    tar_of(rows, tmp_path / "a.tar")
    assert extract(tmp_path / "a.tar", tmp_path / "out", strip=1) == 3
    assert tree(tmp_path / "out") == {"l": "1", "m": "2", "x": "2"}


REFUSED = {
    "nothing there": (
        [("p/sub/l", "-> ../a")],
        "'p/sub/l' → ../a is a link to p/a, which does not",
    ),
    "a folder above": (
        [("p/sub/l", "-> .."), ("p/sub/a", "1")],
        "is a link to a folder that contains it, so that a copy would be endless",
    ),
    "the archive": ([("p/sub/l", "-> ../..")], "to a folder that contains it"),
    "endless by another": (
        [("p/o/l", "-> ../q"), ("p/q/m", "-> ../o"), ("p/sub/l", "-> ../o")],
        "to a folder that contains it",
    ),
    "endless by the part": (
        [("p/o/l", "-> ../sub"), ("p/sub/l", "-> ../o")],
        "to a folder that contains it",
    ),
    "a loop": ([("p/a", "-> b"), ("p/b", "-> a"), ("p/sub/l", "-> ../a")], "that leads nowhere"),
    "outside": ([("p/sub/l", "-> ../../../a")], "leads outside"),
    "on to outside": (
        [("p/a", "-> ../../x"), ("p/sub/l", "-> ../a")],
        "is a link to a link that leads outside: p/a → ../../x",
    ),
    "on to an absolute path": ([("p/a", "-> /etc"), ("p/sub/l", "-> ../a")], "that leads outside"),
    "a folder with a link to outside": (
        [("p/o/l", "-> /etc"), ("p/sub/l", "-> ../o")],
        "that leads outside",
    ),
    "a missing hard link": ([("p/sub/l", "=> p/a")], "was not unpacked before it"),
    "into a file": (
        [("p/o/a", "1"), ("p/sub/l", "2"), ("p/sub/l", "-> ../o")],
        "is inside an entry that is a file",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_copied(tmp_path, case):
    """The error names the entry; nothing is written outside, and no temporary folder is left."""
    rows, message = REFUSED[case]
    tar_of(rows, tmp_path / "a.tar")
    with pytest.raises(ArchiveError) as caught:
        extract(tmp_path / "a.tar", tmp_path / "box/out", subdir="p/sub")
    assert message in str(caught.value)
    assert [path.name for path in (tmp_path / "box").iterdir()] == ["out"]
    assert not list((tmp_path / "box/out").glob("*.new"))


def test_what_is_left_out_may_lead_outside(tmp_path):
    """Links beside the part that nothing leads to are not judged, as ever."""
    rows = [("x", "-> /etc"), ("a", "1"), ("sub/l", "-> ../a")]
    tar_of(rows, tmp_path / "a.tar")
    extract(tmp_path / "a.tar", tmp_path / "out", subdir="sub")
    assert tree(tmp_path / "out") == {"l": "1"}


@pytest.mark.parametrize("limit", ["most_files", "most_bytes"])
def test_copies_are_bounded(tmp_path, limit):
    """Folders full of links to others multiply only up to a limit, which the error names."""
    with open_below(tmp_path / "tree") as whole, open_below(tmp_path / "out") as below:
        for level in range(12):
            folder = tmp_path / f"tree/f{level}"
            folder.mkdir()
            (folder / "x").write_text("12345")
            for number in range(5):
                (folder / f"l{number}").symlink_to(f"../f{level - 1}" if level else "x")
        (tmp_path / "tree/l").symlink_to("f11")
        limits = {limit: Limit("name", 1000, "", unit="things")}
        copies = Copies(whole, below, lambda link, to: Brought("a", str(link), to, True), **limits)
        with pytest.raises(TooManyCopies, match="copies would exceed 1000 things, the limit name"):
            copies.copy_target(("l",), ("l",))


@pytest.mark.parametrize("length", [40, 41])
def test_a_chain_of_folders_ends(tmp_path, length):
    """Copies may lie within copies only so deep."""
    rows = [(f"f{number}/l", f"-> ../f{number + 1}") for number in range(length)]
    tar_of([*rows, (f"f{length}/x", "1"), ("sub/l", "-> ../f0")], tmp_path / "a.tar")
    if length == 40:
        extract(tmp_path / "a.tar", tmp_path / "out", subdir="sub")
        assert list(tree(tmp_path / "out").values()) == ["1"]
        return
    with pytest.raises(ArchiveError, match="leads on through more than 40 folders with links"):
        extract(tmp_path / "a.tar", tmp_path / "out", subdir="sub")


@pytest.mark.parametrize(
    ("name", "to", "level"),
    [
        ("a", "b", 0),
        ("a/b", "c", 1),
        ("a/b", "../c", 0),
        ("a/b", "d/../../c", 0),
        ("a", "../b", -1),
    ],
)
def test_the_lowest_level(name, to, level):
    """A level is the number of folders that are left; below 0, it is outside of the tree."""
    assert lowest_level(name.split("/"), to) == level
