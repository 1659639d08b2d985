"""The entry key: BLAKE3 over everything that decides what an entry will hold.

Same ingredients, same key, on any machine; so callers name files as the recipe names them, never by
where they are on this machine.

Guarantees
  The encoding is injective: two different sets of ingredients never have one text.
  The first line of `envy-ingredients.json` is that very text, so that a changed key can always be
  explained from it.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields

from blake3 import blake3

FORMAT = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Ingredients:
    """What goes into a key. Digests say what a file holds; None, that it was looked for in vain."""

    identity: str
    options_text: str = ""  # canonical, with defaults filled in
    recipe_digest: str = ""
    modules: Mapping[str, str] = field(default_factory=dict)  # name -> digest
    reads_files: Mapping[str, str | None] = field(default_factory=dict)
    reads_variables: Mapping[str, str | None] = field(default_factory=dict)
    inputs: Mapping[str, str] = field(default_factory=dict)  # relative path -> digest of the tree
    sources: tuple[str, ...] = ()  # declared digests, commits, digests of local files; in order
    platform: str = ""
    abi: str = ""  # libc and version; empty for a portable recipe
    host: Mapping[str, str] = field(default_factory=dict)  # program -> path and version
    pass_env: Mapping[str, str | None] = field(default_factory=dict)
    shell: str = ""
    dependencies: tuple[str, ...] = ()  # entry keys, in any order


_FIELDS = tuple(one.name for one in fields(Ingredients))
_PLAIN = frozenset({str, tuple, dict})
_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode


def as_json(ingredients: Ingredients) -> str:
    """The ingredients as JSON, in ASCII, the same text for the same ingredients."""
    row: dict[str, object] = {"format": FORMAT}
    for name in _FIELDS:
        value = getattr(ingredients, name)
        row[name] = value if type(value) in _PLAIN else dict(value)
    row["dependencies"] = sorted(ingredients.dependencies)
    return _encode(row)


def entry_key(ingredients: Ingredients) -> str:
    """The 64 hexadecimal digits that name the entry."""
    return key_of_json(as_json(ingredients))


def key_of_json(text: str) -> str:
    """The same of what `as_json` gave, for who keeps that text."""
    return blake3(text.encode("ascii")).hexdigest()


def canonical_identity_hash(key_text: str) -> str:
    """The digest of a canonical key alone, whatever its recipe says."""
    return blake3(key_text.encode("utf-8", "surrogateescape")).hexdigest()
