"""The table `tests` of the manifest: what `envy test` needs to know of a project.

Each entry but `settings`, which `test_rules` parses, and `native` is a suite of tests, which
`suite_settings` parses. `tests.native` has a
table a folder: `sources`, patterns of the library that its tests are built with, `include`, folders
of headers, `flags` of the compiler, `link`, those of the linker, and `inputs`, files and folders
elsewhere that the tests read. Paths are relative to the manifest. A folder `name/...` stands for
all below it, too.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from envy.declarations import fields
from envy.declarations.suite_settings import SuiteSettings, parse_suite
from envy.declarations.test_rules import TestRule, parse_rules
from envy.errors import DeclarationError, SourceLocation

_NATIVE = frozenset({"sources", "include", "flags", "inputs", "link"})
_BELOW = "/..."


@dataclass(frozen=True, slots=True, kw_only=True)
class NativeFolder:
    """What the native tests of one folder are built with."""

    folder: str  # relative to the manifest, without `/...`
    below: bool = False
    sources: tuple[str, ...] | None = None  # None: the other sources of the folder
    include: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    link: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TestSettings:
    """The table `tests`."""

    __test__ = False

    native: tuple[NativeFolder, ...] = ()  # the more exact folder last
    suites: tuple[SuiteSettings, ...] = ()
    rules: tuple[TestRule, ...] = ()
    names_suites: bool = True  # False: there is nothing but rules, so that suites are found


NO_TESTS = TestSettings()


def parse_tests(value: object, *, origin: SourceLocation | None) -> TestSettings:
    """Return the settings of tests.

    Raises:
        DeclarationError: A field is unknown or invalid.
    """
    table = {} if value == [] else _table("tests", value, origin)
    suites = tuple(
        parse_suite(name, row, origin=fields.field_origin(origin, str(name)))
        for name, row in table.items()
        if name not in {"native", "settings"}
    )
    rules = parse_rules(table.get("settings", []), origin=fields.field_origin(origin, "settings"))
    here = fields.field_origin(origin, "native")
    rows = _table("tests.native", table.get("native", {}), here)
    found = [_folder(str(name), row, fields.field_origin(here, str(name)))
             for name, row in rows.items()]  # fmt: skip
    folders = sorted(found, key=lambda one: (len(one.folder), not one.below))
    names_suites = not table or bool(table.keys() - {"settings"})
    return TestSettings(tuple(folders), suites, rules, names_suites)


def _folder(name: str, value: object, origin: SourceLocation | None) -> NativeFolder:
    what = f"the folder `{name}` of tests.native"
    table = _table(what, value, origin)
    fields.check_known(table, _NATIVE, what=what, origin=origin)
    folder = name.removesuffix(_BELOW).removeprefix("./").rstrip("/") or "."
    if name == "...":
        folder = "."
    if folder.startswith("/") or ".." in folder.split("/"):
        raise DeclarationError(
            f"{what} is not below the manifest", origin=origin, hint="such as `tests` or `src/...`"
        )
    sources = fields.texts(table, "sources", origin=origin) if "sources" in table else None
    return NativeFolder(
        folder=folder,
        below=name == "..." or name.endswith(_BELOW),
        sources=sources,
        include=fields.texts(table, "include", origin=origin),
        flags=fields.texts(table, "flags", origin=origin),
        inputs=fields.texts(table, "inputs", origin=origin),
        link=fields.texts(table, "link", origin=origin),
    )


def _table(what: str, value: object, origin: SourceLocation | None) -> Mapping[str, object]:
    if not isinstance(value, dict):
        hint = 'such as tests = { native = { ["tests"] = { sources = { "src/*.c" } } } }'
        name = what if " " in what else f"`{what}`"
        given = "an array" if isinstance(value, list) else fields.describe(value)
        raise DeclarationError(f"{name} must be a table, not {given}", origin=origin, hint=hint)
    return value


def settings_of(settings: TestSettings, folder: str) -> NativeFolder | None:
    """Return what a folder's tests are built with; None if nothing is said of it."""
    found = None
    for one in settings.native:
        is_below = one.folder == "." or folder.startswith(f"{one.folder}/")
        if folder == one.folder or (one.below and is_below):
            found = one
    return found
