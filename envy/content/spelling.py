"""Names that a file system does not distinguish, such as `README` and `readme` without case.

Owns when a name that exists is that of another file: writing it would silently replace that one.
Nothing is assumed about the file system; it is asked, and only about names that exist.
"""

import errno
import os
import unicodedata
from collections.abc import Callable, Sequence

from envy.content.brought import Parts
from envy.errors import EnvyError

Look = Callable[[str], os.stat_result | None]
# What the system says about names that it does not take.
ABOUT_NAMES = frozenset({errno.ENAMETOOLONG, errno.EILSEQ, errno.EINVAL})


class SameToFileSystem(EnvyError):
    """A file would replace one whose name is spelled otherwise."""

    def __init__(self, stored: Parts, path: Parts, item: str = "") -> None:
        by = f", brought by {item}," if item else ""
        super().__init__(
            f"{'/'.join(stored)}{by} and {'/'.join(path)} cannot both be written, because the file "
            "system does not distinguish these names",
            hint='put one of the two elsewhere (into = "…", or subdir = "…" for a part), or move '
            "the cache to a file system that distinguishes them (--cache-root)",
        )


def check_spelling(
    path: Parts,
    open_folder: Callable[[Parts], int],
    item_at: Callable[[Parts], str | None] | None = None,
    *,
    stored_in: Callable[[int, str], str] | None = None,
) -> None:
    """Check that what exists at a real path has exactly this name, and so have its folders.

    `item_at` returns who brought a path.

    Raises:
        SameToFileSystem: the file system finds something there under another name.
    """
    find = stored_in or _stored_in
    stored = tuple(find(open_folder(path[:at]), name) for at, name in enumerate(path))
    if stored != path:
        raise SameToFileSystem(stored, path, (item_at and item_at(stored)) or "")


def _stored_in(folder: int, name: str) -> str:
    def look(other: str) -> os.stat_result | None:
        try:
            return os.stat(other, dir_fd=folder, follow_symlinks=False)
        except (OSError, ValueError):
            return None

    return stored_name(name, look, lambda: os.listdir(folder))


def stored_name(name: str, look: Look, names: Callable[[], Sequence[str]]) -> str:
    """Return the name by which a folder lists the file that it finds as `name`.

    The names of the folder are read only if it finds the same file by another spelling, too.
    """
    status = look(name)
    others = {name.swapcase(), *(unicodedata.normalize(form, name) for form in ("NFC", "NFD"))}
    if status is None or not any(_is_same(look(other), status) for other in others - {name}):
        return name
    listed = names()
    if name in listed:
        return name
    return next((other for other in listed if _folded(other) == _folded(name)), name)


def _is_same(one: os.stat_result | None, other: os.stat_result) -> bool:
    return one is not None and os.path.samestat(one, other)


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())
