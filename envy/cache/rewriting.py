"""The content of a file for another root of the cache, from its places: pure functions of bytes."""

import re
from collections.abc import Mapping, Sequence

from envy.cache.places import (
    BELOW,
    FIXED,
    MODULE,
    TEXT,
    Places,
    each_place,
    find_places,
    relative_folders,
)
from envy.content.shebang import interpreter_of, script_with

# What a text, a shell's or that of pkg-config, would have to quote.
_SPECIAL = re.compile(rb"[\s\"'\\$`&;|<>()*?\[\]{}!#]")


class NotRewritten(Exception):
    """A file cannot be rewritten for this root; the text says why."""


def prefix_of(root: bytes) -> bytes:
    """Return what the path of each entry begins with, below a root."""
    return root.rstrip(b"/") + BELOW


def root_of(prefix: bytes) -> bytes:
    """Return the root of a prefix."""
    return prefix[: -len(BELOW)] or b"/"


def new_content(
    path: str,
    data: bytes,
    places: Places,
    prefixes: Sequence[bytes],
    root: bytes,
    *,
    own: str,
) -> bytes | None:
    """Return the content of a file for another root; None if the file is to be left out.

    `path` is relative to the payload of the entry with the name `own`.

    Raises:
        NotRewritten: there is none.
    """
    new = prefix_of(root)
    if places.how == TEXT:
        changed = _text(data, prefixes, new)
    elif places.how == MODULE and any(len(new) > len(old) for old in places.at):
        return None  # Python compiles the module again, in memory
    elif places.how in {FIXED, MODULE}:
        relative = relative_folders(path, data, places.at, own=own)
        changed = _fixed(data, places, new, relative)
    else:
        raise NotRewritten(places.why)
    _verify(data, changed, places, prefixes, new)
    return changed


def new_target(target: bytes, prefixes: Sequence[bytes], root: bytes) -> bytes:
    """Return the target of a link for another root."""
    return _replaced(target, prefixes, prefix_of(root))


def _replaced(data: bytes, prefixes: Sequence[bytes], new: bytes) -> bytes:
    # In one pass: the new prefix may contain an old one.
    longest_first = sorted(prefixes, key=len, reverse=True)
    return re.sub(b"|".join(map(re.escape, longest_first)), lambda _match: new, data)


def _text(data: bytes, prefixes: Sequence[bytes], new: bytes) -> bytes:
    interpreter, argument, rest = interpreter_of(data) if data[:2] == b"#!" else (b"", b"", data)
    special = _SPECIAL.search(new)
    if special and find_places(argument + b"\n" + rest, prefixes)[0]:
        shown = special[0].decode("ascii")
        raise NotRewritten(f"is a text, and the path of this cache has {shown!r} in it")
    changed = _replaced(rest, prefixes, new)
    if not find_places(interpreter + b" " + argument, prefixes)[0]:
        return data[: len(data) - len(rest)] + changed
    try:
        return script_with(
            _replaced(interpreter, prefixes, new), _replaced(argument, prefixes, new), changed
        )
    except ValueError as error:
        raise NotRewritten(str(error)) from None


def _fixed(
    data: bytes,
    places: Places,
    new: bytes,
    relative: Mapping[int, bytes],
) -> bytes:
    changed = bytearray(data)
    for prefix, start in each_place(places.at):
        size = len(prefix)
        if start in relative and len(new) > size:
            # Not where the path has room: the loader takes $ORIGIN from the path that it opened,
            # which may be a link or a copy elsewhere.
            changed[start : start + len(relative[start])] = relative[start]
            continue
        if len(new) > size:
            room, needed = len(root_of(prefix)), len(root_of(new))
            raise NotRewritten(
                f"has room for a cache root of at most {room} bytes, and this one has {needed}: "
                'choose a shorter one, or say relocate = "padded" in the recipe'
            )
        filled = new[: -len(BELOW)] + b"/" * (size - len(new)) + BELOW
        changed[start : start + size] = filled
    return bytes(changed)


def _verify(
    data: bytes, changed: bytes, places: Places, prefixes: Sequence[bytes], new: bytes
) -> None:
    """Check that no place was left out, and that nothing else was changed.

    Raises:
        NotRewritten: a place still holds the old root, or another length.
    """
    if any(new.endswith(old) for old in prefixes):
        return  # an old root is the end of the new one, so old paths are found in new ones
    at, _others = find_places(changed, prefixes)
    if at or (places.how == FIXED and len(changed) != len(data)):
        raise NotRewritten("would be damaged")
