"""The key of a recipe: its identity and the requested options, as one canonical text.

Owns identities, keys and queries. Pure: uses neither files nor Lua nor the content of recipes.
"""

import functools
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import NoReturn

from envy.declarations.option_match import options_match
from envy.declarations.option_text import (
    OptionValue,
    parse_options,
    parse_query_options,
    serialise_options,
)
from envy.declarations.query_match import matches_identity, split_query
from envy.errors import DeclarationError, InvalidIdentity

# Identities become names of directories, so a dot is allowed only between other characters.
_IDENTITY = re.compile(
    r"([A-Za-z0-9_+-]+)\.([A-Za-z0-9_+-]+(?:\.[A-Za-z0-9_+-]+)*)"
    r"@([A-Za-z0-9_+-]+(?:\.[A-Za-z0-9_+-]+)*)",
    re.ASCII,
)
LONGEST_IDENTITY = 200
_NO_OPTIONS: Mapping[str, OptionValue] = MappingProxyType({})


def validate_identity(text: str) -> None:
    """Raise unless `text` is `namespace.name@revision`.

    Raises:
        InvalidIdentity: a part is missing, or could not be the name of a directory.
    """
    _parts_of(text)


def _parts_of(identity: str) -> tuple[str, str, str]:
    found = _IDENTITY.fullmatch(identity)
    if found is None or len(identity) > LONGEST_IDENTITY:
        raise InvalidIdentity(identity, _what_is_wrong(identity))
    return found[1], found[2], found[3]


def _what_is_wrong(identity: str) -> str:
    namespace, _, rest = identity.partition(".")
    name, at, revision = rest.partition("@")
    strange = re.search(r"[^A-Za-z0-9_+.@-]", identity) or re.search(r"@", revision)
    verdicts = {
        f"it is longer than {LONGEST_IDENTITY} characters": len(identity) > LONGEST_IDENTITY,
        "options are not part of an identity": "{" in identity,
        "it has no namespace": "@" in namespace or identity.startswith("."),
        "it has no revision": not at or not revision,
        "it has no name": not name,
        f"it contains {strange[0]!r}; only letters, digits, _, -, + and . are allowed"
        if strange
        else "": (strange is not None),
    }
    found = (verdict for verdict, holds in verdicts.items() if holds)
    return next(found, "a dot must be between two other characters")


class RecipeKey:
    """The identity of a recipe and its requested options. Immutable.

    Compared, ordered and hashed by the canonical text.
    """

    __slots__ = (
        "_hash",
        "canonical",
        "identity",
        "name",
        "namespace",
        "options",
        "options_text",
        "revision",
    )
    canonical: str
    identity: str
    namespace: str
    name: str
    revision: str
    options: Mapping[str, OptionValue]
    options_text: str

    def __init__(self, identity: str, options: Mapping[str, OptionValue], text: str) -> None:
        assign = object.__setattr__
        namespace, name, revision = _parts_of(identity)
        canonical = identity + text
        assign(self, "identity", identity)
        assign(self, "namespace", namespace)
        assign(self, "name", name)
        assign(self, "revision", revision)
        assign(self, "options", options)
        assign(self, "options_text", text)
        assign(self, "canonical", canonical)
        assign(self, "_hash", hash(canonical))

    @staticmethod
    def of(identity: str, options: Mapping[str, OptionValue] = _NO_OPTIONS) -> "RecipeKey":
        """Return the key of an identity with the requested options."""
        if not options:
            return _plain_key(identity)
        frozen = MappingProxyType(dict(options))
        return RecipeKey(identity, frozen, serialise_options(options))

    @staticmethod
    def parse(canonical: str) -> "RecipeKey":
        """Return the key with this canonical text."""
        brace = canonical.find("{")
        if brace < 0:
            return _plain_key(canonical)
        return RecipeKey.of(canonical[:brace], parse_options(canonical[brace:]))

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"a RecipeKey is immutable; {name} cannot be set")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"a RecipeKey is immutable; {name} cannot be deleted")

    def __str__(self) -> str:
        return self.canonical

    def __repr__(self) -> str:
        return f"RecipeKey.parse({self.canonical!r})"

    def __hash__(self) -> int:
        return self._hash  # type: ignore[no-any-return,attr-defined]

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        return isinstance(other, RecipeKey) and self.canonical == other.canonical

    def __lt__(self, other: "RecipeKey") -> bool:
        return self.canonical < other.canonical

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return RecipeKey.parse, (self.canonical,)


@functools.cache
def _plain_key(identity: str) -> RecipeKey:
    """Return a shared key of an identity without options: most keys have none, and edges repeat."""
    return RecipeKey(identity, _NO_OPTIONS, "")


class Query:
    """A text that names packages: part of an identity, perhaps with some options.

    `python`, `local.python`, `python@r4`, `local.python@r4`, and each of them with `{k=v,…}`.
    Aliases of the manifest are not queries: they are exact, and looked up before.
    """

    __slots__ = ("_options", "_revision", "name", "text")

    def __init__(
        self, text: str, name: str, revision: str, options: Mapping[str, OptionValue]
    ) -> None:
        self.text = text
        self.name = name
        self._revision = revision
        self._options = options

    @staticmethod
    def parse(text: str) -> "Query":
        """Return the query of a text.

        Raises:
            DeclarationError: the text does not name a package.
        """
        parts = split_query(text)
        if parts is None:
            raise DeclarationError(
                f"{text!r} does not name a package",
                hint="use a name, namespace.name, name@revision, namespace.name@revision or an "
                "alias; options may follow, as in python{version=3.13}",
            )
        name, revision = parts
        brace = text.find("{")
        options = parse_query_options(text[brace:]) if brace >= 0 else _NO_OPTIONS
        return Query(text, name, revision, options)

    @property
    def has_options(self) -> bool:
        """Whether the query has options."""
        return bool(self._options)

    def matches(self, key: RecipeKey, *, alias: str = "") -> bool:
        """Return whether a key matches; `alias`, that of its recipe file, counts as a name."""
        return matches_identity(self.name, self._revision, key.identity, alias) and options_match(
            self._options, key.options
        )

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"Query.parse({self.text!r})"
