"""The smaller tables of a recipe file, strictly parsed.

Owns the forms of `inputs`, `exports`, `stage`, `host` and `about`. `exports` and `stage` may also
be functions of a recipe, whose results are parsed by the same code.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

from envy.content.folder_walk import rules_of
from envy.declarations import fields
from envy.errors import DeclarationError, SourceLocation
from envy.host.platform import Platform

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_ABOUT_FIELDS = frozenset({"version", "license", "homepage", "description"})
_STAGE_FIELDS = frozenset({"strip"})
_INPUT_FIELDS = frozenset({1, "exclude", "follow"})


@dataclass(frozen=True, slots=True, kw_only=True)
class StageTable:
    """`stage = { strip = n }`: how archives are unpacked."""

    strip: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Exports:
    """What dependents and `envy run` get; `{{asset}}` and relative paths are expanded later."""

    path: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict, hash=False)
    cmake_prefix: tuple[str, ...] = ()
    pkg_config: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class InputPattern:
    """A pattern of `inputs`, and what is taken of the folders that it matches."""

    pattern: str
    exclude: tuple[str, ...] = ()
    follow: bool = False

    @property
    def rules(self) -> str:
        """The rules of a folder, as `content.folder_walk` has them."""
        return rules_of(exclude=self.exclude, follow=self.follow)


NO_EXPORTS = Exports()
_EXPORT_FIELDS = frozenset(Exports.__dataclass_fields__)


def is_included(filters: Sequence[str], platform: Platform, origin: SourceLocation | None) -> bool:
    """Return whether one of the filters includes the platform, or there are no filters.

    Raises:
        DeclarationError: a filter is not a platform.
    """
    # All filters are checked, even after a match: a misspelt one is an error on every platform.
    verdicts = [platform.matches(name, origin=origin) for name in filters]
    return any(verdicts) or not verdicts


def parse_stage_table(value: Mapping[str, object], origin: SourceLocation | None) -> StageTable:
    """Return the table form of `stage`."""
    fields.check_known(value, _STAGE_FIELDS, what="a stage table", origin=origin)
    return StageTable(strip=fields.count(value, "strip", origin=origin))


def parse_inputs(value: object, origin: SourceLocation | None) -> tuple[InputPattern, ...]:
    """Return the array `inputs`: patterns, and tables such as `{ "vendor", follow = true }`."""
    if value == {}:
        return ()
    # A table without an array around it would be read as two patterns, or none.
    if not isinstance(value, list):
        hint = 'write inputs = { "patches", { "vendor", exclude = { "build" } } }'
        raise fields.wrong_type("inputs", value, "an array of patterns", origin=origin, hint=hint)
    return tuple(
        _input_pattern(each, fields.element_origin(origin, i)) for i, each in enumerate(value)
    )


def _input_pattern(value: object, origin: SourceLocation | None) -> InputPattern:
    table = {1: value} if isinstance(value, str) else value
    if isinstance(table, list):
        table = dict(enumerate(table, start=1))
    pattern = table.get(1) if isinstance(table, dict) else None
    if not isinstance(table, dict) or not isinstance(pattern, str) or not pattern:
        what = 'patterns, and tables such as { "vendor", exclude = { "build" } }'
        raise fields.wrong_type("inputs", value, f"an array of {what}", origin=origin)
    unknown = [name for name in table if name not in _INPUT_FIELDS]
    if unknown:
        named = {str(name): None for name in unknown}
        fields.check_known(named, frozenset({"exclude", "follow"}), what="an input", origin=origin)
    return InputPattern(
        pattern=pattern,
        exclude=fields.inner_patterns(table, "exclude", origin=origin),
        follow=fields.flag(table, "follow", origin=origin),
    )


def parse_about(value: object, origin: SourceLocation | None) -> Mapping[str, str]:
    """Return the table `about`: what is shown to users of a recipe."""
    if not isinstance(value, dict):
        raise fields.wrong_type("about", value, "a table", origin=origin)
    fields.check_known(value, _ABOUT_FIELDS, what="`about`", origin=origin)
    return {name: fields.text(value, name, origin=origin) for name in value}


def parse_host(value: object, origin: SourceLocation | None) -> tuple[tuple[str, str], ...]:
    """Return the table `host`: each program of the machine, and a command that prints its version.

    The default command is the program with `--version`.
    """
    if isinstance(value, list):
        value = dict(enumerate(value, start=1))
    if not isinstance(value, dict):
        raise fields.wrong_type(
            "host", value, "a table of programs", origin=origin, hint='such as { "python3" }'
        )
    programs: dict[str, str] = {}
    for name, text in value.items():
        if not isinstance(text, str) or not text.strip():
            raise fields.wrong_type(f"host.{name}", text, "a non-empty string", origin=origin)
        if isinstance(name, int):
            programs[text] = f"{text} --version"
        else:
            programs[name] = text
    return tuple(sorted(programs.items()))


def parse_exports(value: object, origin: SourceLocation | None) -> Exports:
    """Return the table `exports`."""
    if value is None:
        return NO_EXPORTS
    if not isinstance(value, dict):
        raise fields.wrong_type("exports", value, "a table", origin=origin)
    fields.check_known(value, _EXPORT_FIELDS, what="`exports`", origin=origin)
    return Exports(
        path=fields.texts(value, "path", origin=origin),
        env=_parse_env(value.get("env", {}), origin),
        cmake_prefix=fields.texts(value, "cmake_prefix", origin=origin),
        pkg_config=fields.texts(value, "pkg_config", origin=origin),
    )


def _parse_env(value: object, origin: SourceLocation | None) -> Mapping[str, str]:
    if not isinstance(value, dict):
        raise fields.wrong_type("env", value, "a table of variables", origin=origin)
    for name, text in value.items():
        if not isinstance(name, str) or not _VARIABLE.fullmatch(name):
            raise DeclarationError(
                f"`exports.env` has an invalid variable name: {name!r}",
                origin=fields.field_origin(origin, "env"),
            )
        if not isinstance(text, str) or "\0" in text:
            raise fields.wrong_type(
                f"exports.env.{name}", text, "a string", origin=fields.field_origin(origin, "env")
            )
    return cast("dict[str, str]", value)
