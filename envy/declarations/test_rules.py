"""`tests.settings` of the manifest: how single tests, or those of a package, are run.

Each row names tests by a pattern of their package, of their own name, or of both, and gives some of
`retries`, `timeout` and `serial`. Of several rows that match a test, the last that gives a setting
counts.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

from envy.declarations import fields
from envy.declarations.durations import EXAMPLES, seconds_of
from envy.errors import DeclarationError, SourceLocation

_SETTINGS = ("retries", "serial", "timeout")
_KNOWN = frozenset({"package", "test", *_SETTINGS})
MOST_RETRIES = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class TestRule:
    """One row; None: it says nothing about a setting."""

    __test__ = False

    package: str = ""  # patterns; "": every one
    test: str = ""
    retries: int | None = None
    timeout: float | None = None  # seconds; 0 is no limit
    serial: bool | None = None
    origin: SourceLocation | None = None

    def matches_package(self, package: str) -> bool:
        """Return whether the row is for tests of a package."""
        return not self.package or fnmatchcase(package, self.package)

    def matches(self, package: str, test: str) -> bool:
        """Return whether the row is for a test; a slash of its name may be written as it is."""
        return self.matches_package(package) and (
            not self.test
            or fnmatchcase(test, self.test)
            or fnmatchcase(test.replace("%2F", "/"), self.test)
        )


def parse_rules(value: object, *, origin: SourceLocation | None) -> tuple[TestRule, ...]:
    """Return the rows of `tests.settings`.

    Raises:
        DeclarationError: A field is unknown or invalid.
    """
    if value == {}:
        return ()
    if not isinstance(value, list):
        raise DeclarationError(
            f"`tests.settings` must be an array of tables, not {fields.describe(value)}",
            origin=origin,
            hint=_EXAMPLE,
        )
    return tuple(
        _rule(row, number, fields.element_origin(origin, number - 1))
        for number, row in enumerate(value, 1)
    )


_EXAMPLE = 'such as settings = { { test = "TestSlow*", timeout = "5m", retries = 2 } }'


def _rule(row: object, number: int, origin: SourceLocation | None) -> TestRule:
    what = f"element {number} of `tests.settings`"
    if not isinstance(row, dict):
        raise DeclarationError(
            f"{what} must be a table, not {fields.describe(row)}", origin=origin, hint=_EXAMPLE
        )
    table: Mapping[str, object] = row
    fields.check_known(table, _KNOWN, what=what, origin=origin)
    package = fields.text(table, "package", origin=origin)
    test = fields.text(table, "test", origin=origin)
    if not (package or test):
        raise DeclarationError(
            f"{what} names neither a `package` nor a `test`",
            origin=origin,
            hint='package = "*" means every test',
        )
    if not any(name in table for name in _SETTINGS):
        raise DeclarationError(
            f"{what} gives none of {', '.join(_SETTINGS)}", origin=origin, hint=_EXAMPLE
        )
    return TestRule(
        package=package,
        test=test,
        retries=_retries(table, origin),
        timeout=_timeout(table, origin),
        serial=fields.flag(table, "serial", origin=origin) if "serial" in table else None,
        origin=origin,
    )


def _retries(table: Mapping[str, object], origin: SourceLocation | None) -> int | None:
    if "retries" not in table:
        return None
    number = fields.count(table, "retries", origin=origin)
    if number > MOST_RETRIES:
        raise DeclarationError(
            f"`retries` must be at most {MOST_RETRIES}, not {number}",
            origin=fields.field_origin(origin, "retries"),
        )
    return number


def _timeout(table: Mapping[str, object], origin: SourceLocation | None) -> float | None:
    if "timeout" not in table:
        return None
    text = fields.text(table, "timeout", origin=origin)
    seconds = seconds_of(text)
    if seconds is None:
        raise DeclarationError(
            f"`timeout` must be a duration, not {text!r}",
            origin=fields.field_origin(origin, "timeout"),
            hint=EXAMPLES,
        )
    return seconds
