"""Who a recipe is: its identity and the options it was asked for, in one canonical text.

Owns identities, keys and queries. Pure: knows nothing of files, of Lua or of what a recipe says.
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
from envy.errors import DeclarationError

# Identities become names of directories, so a dot stands only between other characters.
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
        DeclarationError: a part is missing, or holds what no directory may be called.
    """
    _parts_of(text)


def _parts_of(identity: str) -> tuple[str, str, str]:
    found = _IDENTITY.fullmatch(identity)
    if found is None or len(identity) > LONGEST_IDENTITY:
        raise DeclarationError(
            f'"{identity}" is no identity: {_what_is_wrong(identity)}',
            hint="an identity is namespace.name@revision, such as local.python@r4",
        )
    return found[1], found[2], found[3]


def _what_is_wrong(identity: str) -> str:
    namespace, _, rest = identity.partition(".")
    name, at, revision = rest.partition("@")
    strange = re.search(r"[^A-Za-z0-9_+.@-]", identity) or re.search(r"@", revision)
    verdicts = {
        f"it is longer than {LONGEST_IDENTITY} characters": len(identity) > LONGEST_IDENTITY,
        "options do not belong in it": "{" in identity,
        "the namespace is missing": "@" in namespace or identity.startswith("."),
        "the revision is missing": not at or not revision,
        "the name is missing": not name,
        f"it holds {strange[0]!r}; only letters, digits, _, -, + and . may be" if strange else "": (
            strange is not None
        ),
    }
    found = (verdict for verdict, holds in verdicts.items() if holds)
    return next(found, "a dot stands where it could leave a directory")


class RecipeKey:
    """The identity of a recipe together with its options, as asked for. Immutable.

    Equal, ordered and hashed by the canonical text.
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
        place = object.__setattr__
        namespace, name, revision = _parts_of(identity)
        canonical = identity + text
        place(self, "identity", identity)
        place(self, "namespace", namespace)
        place(self, "name", name)
        place(self, "revision", revision)
        place(self, "options", options)
        place(self, "options_text", text)
        place(self, "canonical", canonical)
        place(self, "_hash", hash(canonical))

    @staticmethod
    def of(identity: str, options: Mapping[str, OptionValue] = _NO_OPTIONS) -> "RecipeKey":
        """The key of an identity with the options it was asked for."""
        if not options:
            return _plain_key(identity)
        frozen = MappingProxyType(dict(options))
        return RecipeKey(identity, frozen, serialise_options(options))

    @staticmethod
    def parse(canonical: str) -> "RecipeKey":
        """The key whose canonical text this is."""
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
    """One object for each identity without options: most keys of a run, asked for by every edge."""
    return RecipeKey(identity, _NO_OPTIONS, "")


class Query:
    """What somebody typed to name a package: part of an identity, perhaps with some options.

    `python`, `local.python`, `python@r4`, `local.python@r4`, and any of them with `{k=v,…}`.
    Aliases of the manifest are no concern of a query: they are exact, and looked up before.
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
        """The query that a text stands for.

        Raises:
            DeclarationError: it is none.
        """
        parts = split_query(text)
        if parts is None:
            raise DeclarationError(
                f"{text!r} does not name a package",
                hint="ask with a name, namespace.name, name@revision, namespace.name@revision or "
                "an alias; options may follow, as in python{version=3.13}",
            )
        name, revision = parts
        brace = text.find("{")
        options = parse_query_options(text[brace:]) if brace >= 0 else _NO_OPTIONS
        return Query(text, name, revision, options)

    @property
    def has_options(self) -> bool:
        """Whether it asks for options."""
        return bool(self._options)

    def matches(self, key: RecipeKey, *, alias: str = "") -> bool:
        """Whether `key` answers; `alias` is what its recipe file calls itself, like a name."""
        return matches_identity(self.name, self._revision, key.identity, alias) and options_match(
            self._options, key.options
        )

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"Query.parse({self.text!r})"
