"""The file that a fetch creates: its path, its permissions, and whether it can be reused."""

import os
import stat
from collections.abc import Sequence
from pathlib import Path

from envy.content.below_root import open_below, parts_of
from envy.content.brought import LeadsOutside
from envy.errors import FetchError
from envy.transport.context import Fetched
from envy.transport.digests import ExpectedDigest, Hasher
from envy.transport.turns import give_turn

_CHUNK = 1 << 20


def target_in(into: Path, name: str) -> Path:
    """Return the path for a name, and create its folder (`dest` may name folders) and `into`.

    Raises:
        FetchError: the name leads outside, perhaps through a link that was fetched before.
    """
    *above, last = name.split("/")
    try:
        if last in {"", ".", ".."} or ".." in above:
            raise LeadsOutside((), None, what="a path that leads outside")
        if not above:
            create_folder(into)
            return into / last
        with open_below(into) as below:
            return into.joinpath(*below.real_folder(parts_of("/".join(above))), last)
    except LeadsOutside as error:
        raise FetchError(
            f'"{name}" would be written through {error.why}',
            uri=name,
            hint='give it another name: dest = "NAME"',
        ) from None


def create_folder(path: Path) -> None:
    """Create a folder, and those above it, unless it is there."""
    if not os.path.isdir(path):  # noqa: PTH112 (an attempt to create it takes five times as long)
        path.mkdir(parents=True, exist_ok=True)


def make_executable(path: Path) -> None:
    path.chmod(path.stat().st_mode | 0o111)


def _is_plain(path: Path) -> bool:
    try:
        return stat.S_ISREG(os.lstat(path).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False


def reusable(target: Path, uri: str, expected: Sequence[ExpectedDigest]) -> Fetched | None:
    """Return the file of an earlier attempt, if it has the expected digests."""
    if not expected or not _is_plain(target):
        return None
    give_turn()
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
