"""Files stored with Git LFS are pointer files with a warning, or their content on request."""

import hashlib
import os

import pytest
from loopback.git_repository import GitRepository

from envy.declarations.sources import SourceItem
from envy.errors import FetchError
from envy.transport import fetch_source

CONTENT = b"\0content\n" * 500
POINTER = (
    "version https://git-lfs.github.com/spec/v1\n"
    f"oid sha256:{hashlib.sha256(CONTENT).hexdigest()}\nsize {len(CONTENT)}\n"
)
FILES = {".gitattributes": "*.bin filter=lfs diff=lfs merge=lfs -text\n", "d/a.bin": POINTER}
# Replaces every pointer file below the current folder by the file `content` beside this program.
PROGRAM = """#!/bin/sh
echo "$*" >> "$(dirname "$0")/calls"
[ "$1" = version ] && exit 0
[ "$1" = pull ] || exit 1
grep -rl --exclude-dir=.git "^oid sha256:" . | while read -r name; do
    cat "$(dirname "$0")/content" > "$name"
done
"""


@pytest.fixture
def git_lfs(tmp_path):
    """Return the folder of a git-lfs program that replaces pointer files."""
    folder = tmp_path / "git-lfs"
    folder.mkdir()
    (folder / "git-lfs").write_text(PROGRAM)
    (folder / "git-lfs").chmod(0o755)
    (folder / "content").write_bytes(CONTENT)
    return folder


@pytest.fixture
def fetch(git_repository, recorder, tmp_path):
    def fetch(*, programs=None, **fields):
        commit = git_repository.git("rev-parse", "HEAD")
        item = SourceItem(
            source=fields.pop("source", git_repository.url),
            ref=commit,
            base_dir=tmp_path,
            **fields,
        )
        path = f"{programs}:{os.environ['PATH']}" if programs else os.environ["PATH"]
        context = recorder.context({"PATH": path, "HOME": str(tmp_path)})
        return fetch_source(item, tmp_path / "into", context).path

    return fetch


def test_pointers_are_kept_with_a_warning(git_repository, recorder, git_lfs, fetch):
    """Without `lfs`, the pointer files of the commit are fetched, and a warning says so."""
    git_repository.commit(FILES)
    assert (fetch(programs=git_lfs) / "d" / "a.bin").read_text() == POINTER
    assert "1 file with Git LFS (d/a.bin, …)" in recorder.warnings[0]
    assert "lfs = true" in recorder.warnings[0]
    assert not (git_lfs / "calls").exists()


def test_no_warning_without_pointers(git_repository, recorder, fetch):
    """Neither a file that only looks like a pointer nor an attribute alone causes a warning."""
    git_repository.commit({".gitattributes": "*.bin filter=lfs\n", "a": POINTER, "b.bin": "b"})
    fetch()
    assert not recorder.warnings


def test_no_warning_outside_of_the_folder(git_repository, recorder, fetch):
    """Pointer files outside of `subdir` are not fetched, and not warned of."""
    git_repository.commit({**FILES, "e/b": "b"})
    fetch(subdir="e")
    assert not recorder.warnings


def test_content_on_request(git_repository, recorder, git_lfs, fetch):
    """With `lfs`, git-lfs fetches the content, and nothing of git or git-lfs is kept."""
    git_repository.commit(FILES)
    folder = fetch(programs=git_lfs, lfs=True)
    assert (folder / "d" / "a.bin").read_bytes() == CONTENT
    assert sorted(path.name for path in folder.iterdir()) == [".gitattributes", "d"]
    assert not recorder.warnings


def test_content_in_submodules(git_repository, git_lfs, fetch):
    """With `lfs`, the content for submodules is fetched, too."""
    inner = GitRepository(git_repository.path.parent, "inner")
    inner.commit(FILES)
    git_repository.git(
        "-c", "protocol.file.allow=always", "submodule", "-q", "add", "../inner.git", "sub"
    )
    git_repository.commit({"a": "1"})
    folder = fetch(programs=git_lfs, lfs=True, submodules=True)
    assert (folder / "sub" / "d" / "a.bin").read_bytes() == CONTENT


def test_missing_git_lfs(git_repository, git_lfs, fetch, tmp_path):
    """Without the program git-lfs the error names it."""
    git_repository.commit(FILES)
    (git_lfs / "git-lfs").write_text("#!/bin/sh\nexit 127\n")
    with pytest.raises(FetchError, match="install git-lfs"):
        fetch(programs=git_lfs, lfs=True)
    assert not list((tmp_path / "into").iterdir())


@pytest.mark.parametrize("content", [b"other content", POINTER.encode()])
def test_wrong_content(git_repository, git_lfs, fetch, content):
    """Content that is not what the pointer says is an error that names the file."""
    git_repository.commit(FILES)
    (git_lfs / "content").write_bytes(content)
    with pytest.raises(FetchError, match=r"did not fetch the content of d/a\.bin"):
        fetch(programs=git_lfs, lfs=True)


def test_server_that_is_a_file(git_repository, git_lfs, fetch, http_server):
    """A repository of the network may not name a folder of this machine as its LFS server."""
    git_repository.commit({**FILES, ".lfsconfig": "[lfs]\nurl = file:///srv/secrets\n"})
    with pytest.raises(FetchError, match="names file:///srv/secrets"):
        fetch(programs=git_lfs, lfs=True, source=git_repository.served_by(http_server))
    assert "pull" not in (git_lfs / "calls").read_text()


@pytest.mark.needs("git-lfs")
def test_the_real_program(git_repository, recorder, tmp_path):
    """The content that the real git-lfs pushed is fetched, for a folder of the repository, too."""
    git_repository.git("lfs", "install", "--local")
    git_repository.git("lfs", "track", "*.bin")
    git_repository.commit({"sub/a.bin": "content " * 500, "sub/b.txt": "b", "c.bin": "c"})
    variables = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    item = SourceItem(
        source=git_repository.url, ref="main", lfs=True, subdir="sub", base_dir=tmp_path
    )
    folder = fetch_source(item, tmp_path / "real", recorder.context(variables)).path
    assert {path.name: path.read_text() for path in folder.iterdir()} == {
        "a.bin": "content " * 500,
        "b.txt": "b",
    }
    assert recorder.warnings == []
