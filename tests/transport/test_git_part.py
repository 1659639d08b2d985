"""A folder of a repository, fetched without the content of the others."""

import os
import subprocess

import pytest
from loopback.programs import run_program

from envy.declarations.sources import SourceItem
from envy.errors import FetchError
from envy.transport import fetch_source

FILES = {
    ".gitattributes": "*.txt text eol=crlf\n",
    "a/.gitattributes": "*.dat text eol=crlf\n",
    "a/b [x]*/.gitattributes": "*.own text eol=crlf\n",
    "a/b [x]*/one.txt": "1\n",
    "a/b [x]*/two.dat": "2\n",
    "a/b [x]*/deep/three.own": "3\n",
    "a/b x/no": "no",
    "other/.gitattributes": "*.txt filter=lfs\n",
    "other/big.bin": "0" * 100_000,
    "shared/file": "shared\n",
}


@pytest.fixture
def fetch(git_repository, recorder, tmp_path):
    """Fetch a folder; return its files, and how many contents of files were transferred."""
    counts = []

    def run(argv, **settings):
        done = run_program(argv, **settings)
        if "ls-files" in argv:
            listed = subprocess.run(
                ["git", "cat-file", "--batch-all-objects", "--batch-check"],
                cwd=settings["cwd"],
                capture_output=True,
                check=True,
            ).stdout
            counts.append(listed.count(b" blob "))
        return done

    def fetch(subdir, *, parts=True, source="", **fields):
        git_repository.git(
            "--git-dir", str(git_repository.path), "config", "uploadpack.allowFilter", str(parts),
            inside=False,
        )  # fmt: skip
        item = SourceItem(
            source=source or git_repository.url,
            ref="main",
            subdir=subdir,
            base_dir=tmp_path,
            **fields,
        )
        environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
        folder = fetch_source(item, tmp_path / "into", recorder.context(environment, run=run)).path
        found = {
            path.relative_to(folder).as_posix(): path.readlink()
            if path.is_symlink()
            else path.read_bytes()
            for path in folder.rglob("*")
            if path.is_symlink() or path.is_file()
        }
        return found, counts.pop()

    return fetch


def test_only_the_folder_is_transferred(git_repository, fetch, http_server):
    """Only its content is fetched, with the attributes above it; the tree is that of the whole."""
    git_repository.commit(FILES)
    folder = "a/b [x]*"
    expected = {
        ".gitattributes": b"*.own text eol=crlf\n",
        "one.txt": b"1\r\n",
        "two.dat": b"2\r\n",
        "deep/three.own": b"3\r\n",
    }
    assert fetch(folder) == (expected, 6)
    assert fetch(f"./{folder}/") == (expected, 6)
    # A server that does not know parts has everything sent, and a plain web server, too.
    assert fetch(folder, parts=False) == (expected, 10)
    assert fetch(folder, source=git_repository.served_by(http_server)) == (expected, 10)


@pytest.mark.parametrize("to", ["../../shared/file", "deep/../../../shared", "../b x/no"])
def test_links_to_what_is_left_out(git_repository, fetch, to):
    """A folder with links to others is what it would be from the whole commit."""
    git_repository.commit(FILES)
    for name, target in (("out", to), ("in", "deep/three.own"), ("here", ".")):
        (git_repository.work_tree / "a/b [x]*" / name).symlink_to(target)
    git_repository.commit({})
    found, count = fetch("a/b [x]*")
    assert found == fetch("a/b [x]*", parts=False)[0]
    assert count > 6
    assert not hasattr(found.get("out", b""), "parts")


def test_links_inside(git_repository, fetch):
    """Links that stay in the folder need nothing else."""
    git_repository.commit(FILES)
    (git_repository.work_tree / "a/b [x]*/in").symlink_to("deep/../one.txt")
    git_repository.commit({})
    found, count = fetch("a/b [x]*")
    assert str(found["in"]) == "deep/../one.txt"
    assert count == 7  # the link itself is one


@pytest.mark.parametrize("subdir", ["gone", "a/link", "a/b x/no", "a/link/deep"])
def test_no_such_folder(git_repository, fetch, subdir):
    """What is no folder of the commit is the same error, or the same tree, as from the whole."""
    git_repository.commit(FILES)
    (git_repository.work_tree / "a/link").symlink_to("b [x]*")
    git_repository.commit({})
    outcomes = []
    for parts in (True, False):
        try:
            outcomes.append(fetch(subdir, parts=parts)[0])
        except FetchError as error:
            outcomes.append(str(error))
    assert outcomes[0] == outcomes[1]
