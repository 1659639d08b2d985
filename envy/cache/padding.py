"""The padded path of a cache: a link to itself, through which packages are built that need room.

A binary file has room for a new root only if the one that it was built under is as long. A recipe
with `relocate = "padded"` works below `<root>/____…`, a link to `<root>`, with which the root has
`PADDED` bytes. It is the same folder: nothing else in envy knows the entry by this path.
"""

import errno
import os
from collections.abc import Iterable

from envy.cache.filesystem import explained
from envy.cache.layout import EntryPaths
from envy.cache.names import ASSETS_FOLDER, PADDING
from envy.cache.read import is_same_root

PADDED = 128  # bytes: a line `#!` with the rest of a path after it still has less than 255


def padded_root(root: str) -> str:
    """Return the padded path of a root; the root itself if it is as long without."""
    missing = PADDED - len(os.fsencode(root)) - 1
    return f"{root.rstrip('/')}/{PADDING * missing}" if missing > 0 else root


def padded_entry(entry: EntryPaths) -> EntryPaths:
    """Return an entry by its padded path."""
    root = padded_root(entry.root)
    return EntryPaths(root, root + entry.location[len(entry.root.rstrip("/")) :])


def padded_path(path: str, entry: EntryPaths, padded: EntryPaths) -> str:
    """Return a path below an entry by the padded path of that entry; any other path unchanged."""
    for location in (entry.location, os.path.realpath(entry.location)):
        if path == location or path.startswith(f"{location}/"):
            return padded.location + path[len(location) :]
    return path


def make_padding(root: str) -> None:
    """Create the link of the padded path, if it is missing.

    Raises:
        CacheError: it cannot be created, or something else is in its place.
    """
    link = padded_root(root)
    if link == root:
        return
    try:
        try:
            os.symlink(".", link)
        except FileExistsError:
            if not os.path.islink(link) or os.readlink(link) != ".":
                raise FileExistsError(errno.EEXIST, "it is no link to its folder", link) from None
    except OSError as error:
        raise explained(error, doing="create the padded path of the cache", path=link) from error


def padded_spellings(prefixes: Iterable[bytes], root: str) -> list[str]:
    """Return the spellings of a root by whose padded path a payload contains paths of entries."""
    found = []
    for prefix in prefixes:
        link = os.fsdecode(prefix).removesuffix(f"/{ASSETS_FOLDER}/").rstrip("/")
        above = os.path.dirname(link)
        if link == padded_root(above) != above and is_same_root(above, root):
            found.append(above)
    return found


def missing_padding(prefixes: Iterable[bytes], root: str) -> str:
    """Return the padded path that a payload needs and that does not lead to the root, or ""."""
    links = map(padded_root, padded_spellings(prefixes, root))
    return next((link for link in links if not is_same_root(link, root)), "")
