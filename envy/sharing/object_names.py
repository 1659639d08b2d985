"""The names of the objects of a depot: one object for each entry, found without an index.

    v1/<platform>-<arch>/<full key>.tar.zst             an entry that any cache can use
    v1/<platform>-<arch>/<full key>-<root>.tar.zst      one that only caches with this root can use

`v1` is the format. `<root>` is the beginning of the BLAKE3 digest of the path of the cache.
"""

import re

from blake3 import blake3

from envy.cache.layout import EntryPaths

_SUFFIX = ".tar.zst"
_NAME = re.compile(r"(v1/[a-z0-9_.-]+/[0-9a-f]{64})(?:-[0-9a-f]{16})?\.tar\.zst")


def shared_name(entry: EntryPaths, key_hex: str) -> str:
    """Return the name of an entry's object for every cache."""
    return name_of_object(entry.name, key_hex)


def name_of_object(entry_name: str, key_hex: str) -> str:
    """Return the name of the object of an entry, whose name is `<identity>/<folder>`."""
    platform = entry_name.partition("/")[2].rpartition("-blake3-")[0]
    return f"v1/{platform}/{key_hex}{_SUFFIX}"


def bound_name(entry: EntryPaths, key_hex: str) -> str:
    """Return the name of an entry's object for caches with the same root."""
    root = blake3(entry.root.encode("utf-8", "surrogateescape")).hexdigest()[:16]
    return f"{shared_name(entry, key_hex).removesuffix(_SUFFIX)}-{root}{_SUFFIX}"


def is_object_name(name: str) -> bool:
    """Return whether a name is that of an object."""
    return _NAME.fullmatch(name) is not None


def without_root(name: str) -> str:
    """Return the name of an object for every cache, of one that may be bound to a root."""
    return _NAME.sub(r"\1.tar.zst", name)
