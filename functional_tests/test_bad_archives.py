"""Archives that are damaged or empty, or that would write outside their folder."""

import io
import tarfile
import zipfile

import pytest
from archives import COMPRESSIONS, make_tar, make_zip
from mistakes import Mistakes, assert_clean
from project import Project

GOOD = {"a/x": "hello", "a/y": "more"}


def raw_tar(*members):
    """Return a tar with unchecked members: (name, type, link target)."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for name, kind, target in members:
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, target
            if kind == tarfile.REGTYPE:
                info.size = 4
            tar.addfile(info, io.BytesIO(b"evil") if info.size else None)
    return stream.getvalue()


def raw_zip(name):
    """Return a zip of one file, with a name that zipfile would otherwise change."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr(zipfile.ZipInfo(name), "evil")
    return stream.getvalue()


FILE, LINK, HARD = tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE

# File name, content, additions to the recipe, reason, remedy.
ARCHIVES = [
    (
        "up.tar",
        raw_tar(("../outside", FILE, "")),
        "",
        "the entry '../outside' contains \"..\"",
        "do not use it unless you know why",
    ),
    (
        "deep.tar",
        raw_tar(("a/../../outside", FILE, "")),
        "",
        "the entry 'a/../../outside' contains \"..\"",
        "do not use it",
    ),
    (
        "up.tar.gz",
        COMPRESSIONS["gz"](raw_tar(("../outside", FILE, ""))),
        "",
        'contains ".."',
        "do not use it",
    ),
    (
        "up.zip",
        raw_zip("../outside"),
        "",
        "the entry '../outside' contains \"..\"",
        "do not use it",
    ),
    (
        "root.tar",
        raw_tar(("/tmp/outside", FILE, "")),
        "",
        "the entry '/tmp/outside'",
        "do not use it",
    ),
    (
        "link.tar",
        raw_tar(("l", LINK, "/etc"), ("l/outside", FILE, "")),
        "",
        "the entry 'l",
        "do not use it",
    ),
    (
        "uplink.tar",
        raw_tar(
            ("l", LINK, "../../.."),
        ),
        "",
        "the entry 'l'",
        "do not use it",
    ),
    (
        "hard.tar",
        raw_tar(("h", HARD, "../../../outside")),
        "",
        "the entry '../../../outside' contains",
        "do not use it",
    ),
    ("pipe.tar", raw_tar(("p", tarfile.FIFOTYPE, "")), "", "the entry 'p'", ""),
    ("device.tar", raw_tar(("d", tarfile.CHRTYPE, "")), "", "the entry 'd'", ""),
    (
        "short.tar.gz",
        COMPRESSIONS["gz"](make_tar(GOOD))[:-30],
        "",
        "short.tar.gz is damaged",
        "download it again",
    ),
    (
        "short.tar.zst",
        COMPRESSIONS["zst"](make_tar(GOOD))[:-30],
        "",
        "short.tar.zst is damaged",
        "download it again",
    ),
    ("short.zip", make_zip(GOOD)[:-30], "", "short.zip", ""),
    (
        "page.tar.gz",
        b"<html>not found</html>",
        "",
        "page.tar.gz is not an archive that envy unpacks",
        "",
    ),
    ("empty.zip", make_zip({}), "", "empty.zip is empty", ""),
    (
        "strip.tar",
        make_tar({"x": "hello"}),
        "stage = { strip = 1 }",
        "with strip = 1",
        "adapt `strip`",
    ),
    (
        "subdir.tar",
        make_tar(GOOD),
        "SUBDIR",
        'with subdir = "nowhere"',
        "adapt `strip` and `subdir`",
    ),
]


@pytest.fixture(scope="module")
def archives(tmp_path_factory):
    """Sync all of the archives in one run."""
    project = Project(tmp_path_factory.mktemp("archives") / "project")
    cases = []
    for name, data, extra, reason, remedy in ARCHIVES:
        project.write(name, data)
        item = (
            f'{{ source = "../{name}", subdir = "nowhere" }}'
            if extra == "SUBDIR"
            else f'"../{name}"'
        )
        more = "" if extra == "SUBDIR" else extra
        cases.append((f"fetch = {item}\n{more}", reason, remedy))
    return Mistakes(project, cases)


@pytest.mark.parametrize("number", range(len(ARCHIVES)), ids=[row[0] for row in ARCHIVES])
def test_a_bad_archive(archives, number):
    """The error of stage names the archive, the entry, and the line that fetches it."""
    name, _, _, reason, remedy = ARCHIVES[number]
    error = archives.errors[f"local.case{number}@r1"]
    line = "2" if not ARCHIVES[number][2].startswith("stage") else "3"
    for part in (
        "stage failed\n",
        f"recipes/local.case{number}@r1.lua:{line}: ",
        name,
        reason,
        remedy,
    ):
        assert part in error, error


def test_bad_archives_leave_nothing(archives):
    """No marker, lock or process remains, and nothing was written outside."""
    assert_clean(archives.project, archives.outcome.err)
    root = archives.project.root.parent
    assert list(root.rglob("*outside*")) == []
