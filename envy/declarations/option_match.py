"""Comparison of the options in a query with the options of a package."""

from collections.abc import Mapping

from envy.declarations.option_text import (
    BareWord,
    OptionValue,
    literal_of,
    parse_options,
    parse_query_options,
)
from envy.errors import DeclarationError


def has_options(key: str, query: str) -> bool:
    """Return whether a canonical key has the options of a query; False if either is malformed."""
    try:
        wanted = parse_query_options(_options_text(query))
        given = parse_options(_options_text(key))
    except DeclarationError:
        return False
    return options_match(wanted, given)


def _options_text(text: str) -> str:
    brace = text.find("{")
    return text[brace:] if brace >= 0 else "{}"


def options_match(wanted: Mapping[str, OptionValue], given: Mapping[str, OptionValue]) -> bool:
    """Return whether every wanted option was given, with that value; others may be anything."""
    return all(name in given and _matches(value, given[name]) for name, value in wanted.items())


def _matches(wanted: OptionValue, given: OptionValue) -> bool:
    if isinstance(wanted, BareWord):
        return _is_written_as(wanted, given)
    if isinstance(wanted, dict) and isinstance(given, dict):
        return wanted.keys() == given.keys() and all(
            _matches(inner, given[name]) for name, inner in wanted.items()
        )
    if isinstance(wanted, list) and isinstance(given, list):
        return len(wanted) == len(given) and all(map(_matches, wanted, given))
    if isinstance(wanted, dict | list):
        # An empty table is an empty array as well.
        return not wanted and isinstance(given, dict | list) and not given
    return type(wanted) is type(given) and wanted == given


def _is_written_as(word: BareWord, given: OptionValue) -> bool:
    """Return whether a word without quotes stands for a value."""
    if isinstance(given, str):
        return str.__eq__(word, given)
    literal = literal_of(word)
    if isinstance(given, bool) or isinstance(literal, bool):
        return literal is given
    return literal is not None and literal == given
