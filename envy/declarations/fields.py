"""Strict reading of the fields of a table that an author wrote.

Owns the messages about unknown fields and wrong types, so that they are the same for every table
of the manifest and of recipes. Values have been converted from Lua to plain Python.
"""

import re
from collections.abc import Callable, Mapping, Sequence

from envy.errors import DeclarationError, SourceLocation
from envy.suggest import did_you_mean

_LONGEST_SHOWN = 200


def describe(value: object) -> str:
    """Return a description of a value and its type, in Lua's terms."""
    if value is None:
        return "nil"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, str):
        return "a string" if value else "an empty string"
    if isinstance(value, dict | list | tuple):
        return "a table" if value else "an empty table"
    # A Lua value that is not data: a function, or a value that describes what is wrong with it.
    what = getattr(value, "what", "")
    return f"a value that is not data ({what})" if what else "a function"


def describe_returned(value: object) -> str:
    """Return a value that a function returned: scalars as Lua writes them, others by their type."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, str) and value:
        # A value that was cut could show a secret in part, which masking would miss.
        return f'"{value}"' if len(value) <= _LONGEST_SHOWN else "a long string"
    return describe(value)


def field_origin(origin: SourceLocation | None, name: str) -> SourceLocation | None:
    """Return the location of a field, if `origin` knows the lines of its table."""
    at_field: Callable[[str], SourceLocation] | None = getattr(origin, "at_field", None)
    return at_field(name) if at_field is not None else origin


def element_origin(origin: SourceLocation | None, index: int) -> SourceLocation | None:
    """Return the location of an element (from 0), if `origin` knows the lines of its array."""
    at_element: Callable[[int], SourceLocation] | None = getattr(origin, "at_element", None)
    return at_element(index) if at_element is not None else origin


def wrong_type(
    name: str, value: object, expected: str, *, origin: SourceLocation | None, hint: str = ""
) -> DeclarationError:
    """Return the error that a field does not have the expected type."""
    return DeclarationError(
        f"`{name}` must be {expected}, not {describe(value)}",
        origin=field_origin(origin, name),
        hint=hint,
    )


def check_known(
    table: Mapping[str, object], known: frozenset[str], *, what: str, origin: SourceLocation | None
) -> None:
    """Raise for the first unknown field."""
    if known.issuperset(table):
        return
    names: list[str | int] = list(table)
    for name in names:
        if isinstance(name, int):
            raise DeclarationError(
                f"{what} mixes named fields with a value that has no name",
                origin=origin,
                hint=f"its fields are {', '.join(sorted(known))}",
            )
        if name not in known:
            raise DeclarationError(
                f'{what} has no field "{name}"',
                origin=field_origin(origin, name),
                hint=did_you_mean(name, known),
            )


def text(table: Mapping[str, object], name: str, *, origin: SourceLocation | None) -> str:
    """Return a field that is a non-empty string; "" if it is missing."""
    value = table.get(name)
    if value is None:
        return ""
    if isinstance(value, str) and value:
        if "\0" in value:
            raise DeclarationError(
                f"`{name}` contains a NUL character", origin=field_origin(origin, name)
            )
        return value
    hint = f'write it in quotes: {name} = "{value}"' if type(value) in {int, float} else ""
    raise wrong_type(name, value, "a non-empty string", origin=origin, hint=hint)


def choice(
    table: Mapping[str, object],
    name: str,
    choices: Sequence[str],
    *,
    origin: SourceLocation | None,
) -> str:
    """Return a field that is one of some words; if it is missing, the first of them."""
    value = text(table, name, origin=origin) or choices[0]
    if value not in choices:
        listed = " or ".join(f'"{each}"' for each in choices)
        raise DeclarationError(
            f'`{name}` must be {listed}, not "{value}"', origin=field_origin(origin, name)
        )
    return value


def flag(table: Mapping[str, object], name: str, *, origin: SourceLocation | None) -> bool:
    """Return a field that is true or false; False if it is missing."""
    value = table.get(name, False)
    if not isinstance(value, bool):
        raise wrong_type(name, value, "true or false", origin=origin)
    return value


def count(table: Mapping[str, object], name: str, *, origin: SourceLocation | None) -> int:
    """Return a field that is a whole number, 0 or more; 0 if it is missing."""
    value = table.get(name, 0)
    if type(value) is not int or value < 0:
        given = str(value) if isinstance(value, float) or type(value) is int else describe(value)
        raise DeclarationError(
            f"`{name}` must be a whole number, 0 or more, not {given}",
            origin=field_origin(origin, name),
        )
    return value


def texts(
    table: Mapping[str, object], name: str, *, origin: SourceLocation | None
) -> tuple[str, ...]:
    """Return a field that is an array of non-empty strings; () if it is missing."""
    value = table.get(name)
    if value is None or value == {}:
        return ()
    if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
        hint = f'write {name} = {{ "{value}" }}' if isinstance(value, str) and value else ""
        raise wrong_type(name, value, "an array of non-empty strings", origin=origin, hint=hint)
    return tuple(value)


def inner_patterns(
    table: Mapping[str, object], name: str, *, origin: SourceLocation | None
) -> tuple[str, ...]:
    """Return a field that is an array of patterns of paths below a folder; () if it is missing."""
    patterns = texts(table, name, origin=origin)
    for pattern in patterns:
        parts = pattern.split("/")
        if "\0" in pattern or not parts[0] or ".." in parts or set(parts) <= {"", "."}:
            raise DeclarationError(
                f'`{name}` has "{pattern}"; its patterns are relative to the folder, without ".."',
                origin=field_origin(origin, name),
                hint=f'such as {name} = {{ "build", "**/*.o" }}',
            )
    return patterns


def flag_or_patterns(
    table: Mapping[str, object], name: str, *, origin: SourceLocation | None
) -> bool | tuple[str, ...]:
    """Return a field that is a flag or an array of patterns; False if it is missing."""
    if isinstance(table.get(name), list):
        return inner_patterns(table, name, origin=origin)
    return flag(table, name, origin=origin)


def inner_path(table: Mapping[str, object], name: str, *, origin: SourceLocation | None) -> str:
    """Return a field that is a relative path without `..`; "" if it is missing."""
    given = text(table, name, origin=origin)
    if not given:
        return ""
    parts = re.split(r"[/\\]", given)
    if ".." in parts or not parts[0] or re.match(r"[A-Za-z]:", given):
        raise DeclarationError(
            f'`{name}` must be a relative path without "..", not "{given}"',
            origin=field_origin(origin, name),
        )
    return given
