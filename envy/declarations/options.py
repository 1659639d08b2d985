"""The options that a recipe declares, and checking the given options against them.

Owns option declarations. The text of options is in `envy.declarations.option_text`, and is also
exported from here.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from envy.declarations import fields
from envy.declarations.option_text import OptionValue, parse_options, serialise_options
from envy.errors import DeclarationError, SourceLocation
from envy.suggest import did_you_mean

__all__ = [
    "OptionDeclaration",
    "OptionValue",
    "apply_declarations",
    "parse_declarations",
    "parse_options",
    "serialise_options",
]

# The Python types of each declared type. An empty table is also an empty array.
_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "table": (dict, list),
    "array": (list,),
}
_FIRST_OF_CONSTRAINT = frozenset("=!<>~")
_FIELDS = frozenset({"type", "required", "default", "choices", "known"})


# Returns the version that the lock has for an option and its constraint; "" if it has none.
LockedVersion = Callable[[str, str], str]


def not_locked(_option: str, _constraint: str) -> str:
    """Return that there is no lock."""
    return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OptionDeclaration:
    """One option of a recipe, without a default if that is None, and without choices if ().

    `known` are the values that the recipe was tested with; it takes others, too.
    """

    name: str
    type: str
    required: bool = False
    default: OptionValue | None = None
    choices: tuple[OptionValue, ...] = ()
    known: tuple[str, ...] = ()


def parse_declarations(
    value: object, origin: SourceLocation | None
) -> tuple[OptionDeclaration, ...]:
    """Return the declarations in the table `options` of a recipe file.

    Raises:
        DeclarationError: the table is invalid, or contradicts itself.
    """
    if not isinstance(value, dict):
        raise fields.wrong_type(
            "options",
            value,
            "a table of declarations",
            origin=origin,
            hint='such as options = { version = { type = "string", default = "1.0" } }',
        )
    return tuple(
        _parse_declaration(name, table, fields.field_origin(origin, str(name)))
        for name, table in value.items()
    )


def _parse_declaration(
    name: object, table: object, origin: SourceLocation | None
) -> OptionDeclaration:
    if not isinstance(name, str):
        raise DeclarationError(f"`options` has a value without a name, at {name}", origin=origin)
    if not isinstance(table, dict):
        raise fields.wrong_type(
            f"options.{name}",
            table,
            "a table",
            origin=origin,
            hint=f'such as {name} = {{ type = "string" }}',
        )
    fields.check_known(table, _FIELDS, what=f"the declaration of option {name}", origin=origin)
    declaration = OptionDeclaration(
        name=name,
        type=_parse_type(name, table.get("type"), origin),
        required=fields.flag(table, "required", origin=origin),
        default=cast("OptionValue | None", table.get("default")),
        choices=_parse_choices(name, table.get("choices", []), origin),
        known=_parse_known(name, table, origin),
    )
    _check_declaration(declaration, origin)
    return declaration


def _parse_type(name: str, value: object, origin: SourceLocation | None) -> str:
    if isinstance(value, str) and value in _TYPES:
        return value
    problem = "needs a `type`" if value is None else f"has an unknown type, {value!r}"
    raise DeclarationError(
        f"option {name} {problem}", origin=origin, hint=f"types are {', '.join(_TYPES)}"
    )


def _parse_choices(
    name: str, value: object, origin: SourceLocation | None
) -> tuple[OptionValue, ...]:
    if not isinstance(value, list):
        raise fields.wrong_type(
            f"options.{name}.choices", value, "a non-empty array", origin=origin
        )
    return tuple(value)


def _parse_known(
    name: str, table: Mapping[str, object], origin: SourceLocation | None
) -> tuple[str, ...]:
    """Return the known values; what the recipe knows of each is its own affair."""
    value = table.get("known")
    if value is None:
        return ()
    if not isinstance(value, dict) or not all(isinstance(known, str) for known in value):
        raise fields.wrong_type(
            f"options.{name}.known",
            value,
            "a table with a field for each known value",
            origin=origin,
            hint='such as known = { ["1.0"] = { ["linux-x86_64"] = "<64 hex digits>" } }',
        )
    if table.get("type") != "string":
        raise DeclarationError(
            f"option {name} has `known` values, and is not a string", origin=origin
        )
    return tuple(value)


def unknown_values(
    declarations: Sequence[OptionDeclaration] | None, options: Mapping[str, OptionValue]
) -> str:
    """Return a sentence about options with values that the recipe does not know, or ""."""
    return "; ".join(
        f"{one.name} {options[one.name]} is not among those that the recipe knows: "
        f"{', '.join(one.known)}"
        for one in declarations or ()
        if one.known and one.name in options and options[one.name] not in one.known
    )


def _check_declaration(declaration: OptionDeclaration, origin: SourceLocation | None) -> None:
    name = declaration.name
    if declaration.required and declaration.default is not None:
        raise DeclarationError(
            f"option {name} is required and has a default",
            origin=origin,
            hint="remove one of the two",
        )
    if name == "version" and declaration.type == "number":
        raise DeclarationError(
            "option version is a number: as a number, 3.10 would become 3.1",
            origin=origin,
            hint='declare it with type = "string"',
        )
    for place, choice in enumerate(declaration.choices):
        _check_type(declaration, choice, what=f"a choice of option {name}", origin=origin)
        if choice in declaration.choices[:place]:
            raise DeclarationError(
                f"option {name} has the choice {_show(choice)} twice", origin=origin
            )
    if declaration.default is not None:
        _check_value(declaration, declaration.default, f"the default of option {name}", origin)


def apply_declarations(
    declarations: Sequence[OptionDeclaration] | None,
    given: Mapping[str, OptionValue],
    *,
    origin: SourceLocation | None = None,
    locked_version: LockedVersion = not_locked,
) -> dict[str, OptionValue]:
    """Return the given options with the defaults of the recipe, and a version for each constraint.

    A recipe without declarations (None) accepts any options. `origin` is the location of the entry.
    `locked_version` returns the version that the lock has for a constraint, or "".

    Raises:
        DeclarationError: an option is unknown, missing, of the wrong type or not a choice, or no
            version satisfies a constraint.
    """
    if declarations is None:
        return dict(given)
    known = {declaration.name: declaration for declaration in declarations}
    for name, value in given.items():
        declaration = known.get(name)
        if declaration is None:
            raise DeclarationError(
                f'the recipe has no option "{name}"', origin=origin, hint=_options_hint(name, known)
            )
        _check_value(declaration, value, f"option {name}", origin)
    effective = dict(given)
    for declaration in declarations:
        if declaration.name in given:
            continue
        if declaration.required:
            raise DeclarationError(
                f"the recipe needs the option {declaration.name}, a {declaration.type}",
                origin=origin,
                hint=f"add options = {{ {declaration.name} = … }}",
            )
        if declaration.default is not None:
            effective[declaration.name] = declaration.default
    for declaration in declarations:
        asked = effective.get(declaration.name)
        if _is_constraint(declaration, asked):
            text = str(asked)
            locked = locked_version(declaration.name, text)
            effective[declaration.name] = _newest(declaration, text, origin, locked)
    return effective


def _is_constraint(declaration: OptionDeclaration, value: object) -> bool:
    """Return whether a value chooses among the versions that the option declares."""
    return (
        isinstance(value, str)
        and value.lstrip()[:1] in _FIRST_OF_CONSTRAINT
        and declaration.type == "string"
        and bool(declaration.choices or declaration.known)
        and value not in declaration.choices
        and value not in declaration.known
    )


def _newest(
    declaration: OptionDeclaration, text: str, origin: SourceLocation | None, locked: str
) -> str:
    from envy.declarations.version_choice import choose

    versions = [str(choice) for choice in declaration.choices] or declaration.known
    return choose(declaration.name, text, versions, origin=origin, locked=locked)


def _options_hint(name: str, known: Mapping[str, OptionDeclaration]) -> str:
    return did_you_mean(name, known) if known else "the recipe takes no options"


def _check_value(
    declaration: OptionDeclaration, value: OptionValue, what: str, origin: SourceLocation | None
) -> None:
    _check_type(declaration, value, what=what, origin=origin)
    if _is_constraint(declaration, value):
        return
    if declaration.choices and value not in declaration.choices:
        shown = ", ".join(_show(choice) for choice in declaration.choices)
        raise DeclarationError(
            f"{what} is {_show(value)}, which is not among its choices",
            origin=origin,
            hint=f"its choices are {shown}",
        )


def _check_type(
    declaration: OptionDeclaration, value: OptionValue, *, what: str, origin: SourceLocation | None
) -> None:
    wanted = declaration.type
    is_empty_array = wanted == "array" and value == {}
    fits = isinstance(value, _TYPES[wanted]) and isinstance(value, bool) == (wanted == "boolean")
    if not fits and not is_empty_array:
        article = "an" if wanted[0] in "aeiou" else "a"
        raise DeclarationError(
            f"{what} must be {article} {wanted}, not {fields.describe(value)}",
            origin=origin,
            hint=_type_hint(declaration, value),
        )
    # Raises for values that no option can have: functions inside a table, endless nesting, nan.
    serialise_options({declaration.name: value}, origin=origin)


def _type_hint(declaration: OptionDeclaration, value: OptionValue) -> str:
    if declaration.type == "string" and type(value) in {int, float}:
        return f'write it in quotes: {declaration.name} = "{value}"'
    if declaration.type == "array" and isinstance(value, str):
        return f'write it as an array: {declaration.name} = {{ "{value}" }}'
    return ""


def _show(value: OptionValue) -> str:
    return serialise_options({"_": value})[3:-1]
