"""The entry key: BLAKE3 over everything that decides the content of an entry.

The same ingredients give the same key on any machine, so callers name files as the recipe does,
never by their path on this machine.

Guarantees
  The encoding is injective: two different sets of ingredients never have the same text.
  The first line of `envy-ingredients.json` is exactly this text, so a changed key can always be
  explained.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields

from blake3 import blake3

FORMAT = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Ingredients:
    """The input of a key. A file is given by the digest of its content, None if it is missing."""

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


_FIELDS = tuple(each.name for each in fields(Ingredients))
_PLAIN = frozenset({str, tuple, dict})
_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode


def as_json(ingredients: Ingredients) -> str:
    """Return the ingredients as JSON, in ASCII; equal ingredients give equal text."""
    row: dict[str, object] = {"format": FORMAT}
    for name in _FIELDS:
        value = getattr(ingredients, name)
        row[name] = value if type(value) in _PLAIN else dict(value)
    row["dependencies"] = sorted(ingredients.dependencies)
    return _encode(row)


def entry_key(ingredients: Ingredients) -> str:
    """Return the key of an entry: 64 hexadecimal digits."""
    return key_of_json(as_json(ingredients))


def key_of_json(text: str) -> str:
    """Return the key for a text that `as_json` returned."""
    return blake3(text.encode("ascii")).hexdigest()


def canonical_identity_hash(key_text: str) -> str:
    """Return the digest of a canonical key alone, independent of the recipe's content."""
    return blake3(key_text.encode("utf-8", "surrogateescape")).hexdigest()
