"""The entries of the manifest's table `tests`: the suites of tests that a project has.

A suite is of a kind that envy knows, such as pytest, or a command whose output or report has one of
`FORMATS`. An entry that is named like a kind is of that kind; another one names its `kind`, or has
a `command`. Paths are relative to the manifest.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from envy.declarations import fields
from envy.errors import DeclarationError, SourceLocation
from envy.suggest import did_you_mean

COMMAND = "command"  # the kind of a suite that is a command
FORMATS = ("tap", "junit", "test2json", "exit")
_COMMON = frozenset({"env", "folder", "inputs", "kind"})
# The fields of each kind, apart from the common ones.
KIND_FIELDS = {
    "cargo": frozenset({"args"}),
    "ctest": frozenset({"args", "build"}),
    "gtest": frozenset({"programs"}),
    "jest": frozenset({"args"}),
    "node": frozenset({"args", "files"}),
    "pytest": frozenset({"args"}),
    "vitest": frozenset({"args"}),
}
_COMMAND_FIELDS = frozenset({"command", "format", "report"})
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,63}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteSettings:
    """One entry of `tests`."""

    name: str
    kind: str
    folders: tuple[str, ...] = ()  # (): wherever the kind's project files are
    inputs: tuple[str, ...] | None = None  # None: every file of the project
    env: Mapping[str, str] = field(default_factory=dict)
    args: tuple[str, ...] = ()  # of the kind's program
    files: tuple[str, ...] = ()  # patterns of test files, below the folder
    programs: tuple[str, ...] = ()  # patterns of test programs, below the folder
    build: str = ""  # the folder of the build, below the folder
    command: tuple[str, ...] = ()  # a command of a shell if it is one text: see `is_shell`
    is_shell: bool = False
    format: str = ""
    report: str = ""  # the file that the command writes, below the folder; "": standard output


def parse_suite(name: object, value: object, *, origin: SourceLocation | None) -> SuiteSettings:
    """Return the settings of a suite.

    Raises:
        DeclarationError: A field is unknown or invalid.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise DeclarationError(
            f"`tests` has an entry {name!r}, which is not a name",
            origin=origin,
            hint=_example(),
        )
    what = f"tests.{name}"
    value = {} if value == [] else value
    if not isinstance(value, dict):
        raise DeclarationError(
            f"`{what}` must be a table, not {fields.describe(value)}",
            origin=origin,
            hint=f"tests = {{ {name} = {{}} }} takes everything as it is found",
        )
    kind = _kind(name, value, origin)
    known = _COMMON | (_COMMAND_FIELDS if kind == COMMAND else KIND_FIELDS[kind])
    fields.check_known(value, known, what=f"`{what}`, a suite of {kind}," if kind != name else
                       f"`{what}`", origin=origin)  # fmt: skip
    command, is_shell = _command(value, origin)
    suite = SuiteSettings(
        name=name,
        kind=kind,
        folders=_folders(value, origin),
        inputs=_inputs(value, origin),
        env=_variables(value, origin),
        args=_words(value, "args", origin),
        files=fields.inner_patterns(value, "files", origin=origin),
        programs=fields.inner_patterns(value, "programs", origin=origin),
        build=fields.inner_path(value, "build", origin=origin),
        command=command,
        is_shell=is_shell,
        format=fields.text(value, "format", origin=origin),
        report=fields.inner_path(value, "report", origin=origin),
    )
    if kind == COMMAND:
        _check_command(suite, what, origin)
    return suite


def _kind(name: str, table: Mapping[str, object], origin: SourceLocation | None) -> str:
    kind = fields.text(table, "kind", origin=origin)
    if not kind and name in KIND_FIELDS:
        return name
    if not kind and "command" in table:
        return COMMAND
    if not kind:
        raise DeclarationError(
            f"`tests.{name}` has neither `command` nor `kind`, and envy knows no kind {name!r}",
            origin=origin,
            hint=did_you_mean(name, [*KIND_FIELDS, "native"]) or _example(),
        )
    if kind not in KIND_FIELDS:
        raise DeclarationError(
            f"`kind` cannot be {kind!r}",
            origin=fields.field_origin(origin, "kind"),
            hint=did_you_mean(kind, KIND_FIELDS) or f"one of {', '.join(KIND_FIELDS)}",
        )
    return kind


def _command(
    table: Mapping[str, object], origin: SourceLocation | None
) -> tuple[tuple[str, ...], bool]:
    value = table.get("command")
    if value is None:
        return (), False
    if isinstance(value, list):
        words = _words(table, "command", origin)
        if not words or not words[0]:
            raise fields.wrong_type("command", value, "a program and its arguments", origin=origin)
        return words, False
    return (fields.text(table, "command", origin=origin),), True


def _check_command(suite: SuiteSettings, what: str, origin: SourceLocation | None) -> None:
    if not suite.format:
        raise DeclarationError(
            f"`{what}` has no `format`, which says how its results are read",
            origin=origin,
            hint=f"format is one of {', '.join(FORMATS)}; with exit, the exit code is the result",
        )
    if suite.format not in FORMATS:
        raise DeclarationError(
            f"`format` cannot be {suite.format!r}",
            origin=fields.field_origin(origin, "format"),
            hint=did_you_mean(suite.format, FORMATS) or f"one of {', '.join(FORMATS)}",
        )
    if len(suite.folders) > 1:
        raise DeclarationError(
            f"`{what}` has several folders, and a command runs in one",
            origin=fields.field_origin(origin, "folder"),
        )
    if suite.report and suite.format == "exit":
        raise DeclarationError(
            '`report` is not read with format = "exit"',
            origin=fields.field_origin(origin, "report"),
        )


def _folders(table: Mapping[str, object], origin: SourceLocation | None) -> tuple[str, ...]:
    value = table.get("folder")
    given = fields.texts(table, "folder", origin=origin) if isinstance(value, list) else (
        (fields.text(table, "folder", origin=origin),) if value is not None else ()
    )  # fmt: skip
    found = []
    for folder in given:
        plain = folder.removeprefix("./").rstrip("/") or "."
        if plain.startswith("/") or ".." in plain.split("/") or "\0" in plain:
            raise DeclarationError(
                f"the folder {folder!r} is not below the manifest",
                origin=fields.field_origin(origin, "folder"),
            )
        found.append(plain)
    return tuple(dict.fromkeys(found))


def _inputs(
    table: Mapping[str, object], origin: SourceLocation | None
) -> tuple[str, ...] | None:  # fmt: skip
    if "inputs" not in table:
        return None
    given = fields.texts(table, "inputs", origin=origin)
    for text in given:
        if "\0" in text or "\n" in text or "\t" in text:
            raise DeclarationError(
                f"`inputs` has {text!r}, which cannot be the name of a file",
                origin=fields.field_origin(origin, "inputs"),
            )
    return given


def _words(
    table: Mapping[str, object], name: str, origin: SourceLocation | None
) -> tuple[str, ...]:  # fmt: skip
    value = table.get(name)
    if value is None or value == {}:
        return ()
    if not isinstance(value, list) or not all(isinstance(word, str) for word in value):
        hint = f'write {name} = {{ "{value}" }}' if isinstance(value, str) and value else ""
        raise fields.wrong_type(name, value, "an array of strings", origin=origin, hint=hint)
    if any("\0" in word for word in value):
        raise DeclarationError(
            f"`{name}` contains a NUL character", origin=fields.field_origin(origin, name)
        )
    return tuple(value)


def _variables(table: Mapping[str, object], origin: SourceLocation | None) -> Mapping[str, str]:
    value = table.get("env")
    if value is None or value == []:
        return {}
    if not isinstance(value, dict):
        raise fields.wrong_type("env", value, "a table of variables", origin=origin)
    here = fields.field_origin(origin, "env")
    for name, text in value.items():
        if not isinstance(name, str) or not _VARIABLE.fullmatch(name):
            raise DeclarationError(f"`env` has {name!r}, which is not a variable", origin=here)
        if not isinstance(text, str) or "\0" in text:
            raise DeclarationError(
                f"the variable {name} must be a string, not {fields.describe(text)}",
                origin=fields.field_origin(here, name),
            )
    return dict(value)


def _example() -> str:
    kinds = ", ".join(["native", *sorted(KIND_FIELDS)])
    return (
        'such as tests = { e2e = { command = "./e2e.sh", format = "tap" } }; '
        f"the kinds are {kinds}"
    )
