"""Where fetched things land: whole and under their final name, or not at all.

Owns the `.part` names. Shared by the transports; knows no scheme.
"""

import contextlib
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from envy.errors import FetchError
from envy.transport.context import Fetched
from envy.transport.digests import ExpectedDigest, Hasher

_CHUNK = 1 << 20


def target_in(into: Path, name: str) -> Path:
    """Where something of this name goes, its folder made (`dest` may name folders)."""
    target = into / name
    target.parent.mkdir(parents=True, exist_ok=True)
    return target


@contextlib.contextmanager
def written_whole(target: Path) -> Iterator[Path]:
    """A path to write to, which becomes `target` on success and is removed on failure."""
    part = target.with_name(target.name + ".part")
    remove(part)
    try:
        yield part
        if part.is_dir() or target.is_dir():
            # A folder cannot be renamed over what is there.
            remove(target)
        part.replace(target)
    finally:
        remove(part)


def remove(path: Path) -> None:
    """Remove a file or a tree, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def make_executable(path: Path) -> None:
    path.chmod(path.stat().st_mode | 0o111)


def inner_folder(root: Path, subdir: str, uri: str) -> Path:
    """The folder `subdir` of a tree, which must exist and not lead out of it by a link."""
    inner = root / subdir
    if not inner.is_dir() or not inner.resolve().is_relative_to(root.resolve()):
        there = sorted(entry.name for entry in root.iterdir() if entry.is_dir())
        raise FetchError(
            f"{uri} has no folder {subdir}",
            uri=uri,
            hint=f"its folders are {', '.join(there)}" if there else "it has no folders",
        )
    return inner


def tree_size(root: Path) -> int:
    """The bytes of all files below a folder."""
    return sum(
        os.lstat(os.path.join(folder, name)).st_size  # noqa: PTH118
        for folder, _, names in os.walk(root)
        for name in names
    )


def reusable(target: Path, uri: str, expected: Sequence[ExpectedDigest]) -> Fetched | None:
    """What is there from an earlier attempt, if it is what was promised."""
    if not expected or not target.is_file():
        return None
    hasher = Hasher(expected)
    size = 0
    with target.open("rb") as file:
        while data := file.read(_CHUNK):
            hasher.update(data)
            size += len(data)
    try:
        hasher.verify(uri)
    except FetchError:
        return None
    return Fetched(path=target, bytes=size, sha256=hasher.sha256, uri=uri, verified=True)
