"""The names of the objects of a depot: one for each entry and signer, found without an index.

    v2/<signer>/<platform>-<arch>/<full key>.tar.zst          an entry that any cache can use
    v2/<signer>/<platform>-<arch>/<full key>-<root>.tar.zst   one for caches with this root only

`v2` is the format. `<signer>` is the number of the key that signed the object, as minisign shows
it, or `unsigned`: projects that believe other keys, or none, do not meet in one name. `<root>` is
the beginning of the BLAKE3 digest of the path of the cache.
"""

import re

from blake3 import blake3

from envy.cache.layout import EntryPaths

_FORMAT = "v2"
_SUFFIX = ".tar.zst"
_UNSIGNED = "unsigned"
_NAME = re.compile(
    rf"({_FORMAT}/([0-9A-F]{{16}}|{_UNSIGNED})/[a-z0-9_.-]+/[0-9a-f]{{64}})(?:-[0-9a-f]{{16}})?"
    r"\.tar\.zst"
)


def shared_name(entry: EntryPaths, key_hex: str, signer: str) -> str:
    """Return the name of an entry's object for every cache; `signer` is "" without a signature."""
    return name_of_object(entry.name, key_hex, signer)


def name_of_object(entry_name: str, key_hex: str, signer: str) -> str:
    """Return the name of the object of an entry, whose name is `<identity>/<folder>`."""
    platform = entry_name.partition("/")[2].rpartition("-blake3-")[0]
    return f"{_FORMAT}/{signer or _UNSIGNED}/{platform}/{key_hex}{_SUFFIX}"


def bound_name(entry: EntryPaths, key_hex: str, signer: str) -> str:
    """Return the name of an entry's object for caches with the same root."""
    root = blake3(entry.root.encode("utf-8", "surrogateescape")).hexdigest()[:16]
    return f"{shared_name(entry, key_hex, signer).removesuffix(_SUFFIX)}-{root}{_SUFFIX}"


def is_object_name(name: str) -> bool:
    """Return whether a name is that of an object."""
    return _NAME.fullmatch(name) is not None


def signer_in(name: str) -> str:
    """Return the number of the key that signed an object, by its name; "" if none did."""
    found = _NAME.fullmatch(name)
    return "" if found is None or found[2] == _UNSIGNED else found[2]


def without_root(name: str) -> str:
    """Return the name of an object for every cache, of one that may be bound to a root."""
    return _NAME.sub(r"\1.tar.zst", name)
