"""Selecting the tests to run: --run, --skip, --failed and --filter, and with them --partition.

A filter is an expression over `package(GLOB)` and `test(GLOB)` with `&`, `|`, `!` and parentheses;
`and`, `or` and `not` are accepted too.

Guarantees
  A package whose tests are not known, or cannot be listed, is selected by every part of
  `--partition`, by every filter that may match a test of it, and by `--failed`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import ClassVar

from envy.errors import UsageError
from envy.suggest import nearest
from envy.testing.package import Selection, TestPackage
from envy.testing.partitions import Partition

Predicate = Callable[[str, str], bool]  # package, top-level test
# The same for a test that may be None, which is not known; None is that it depends on the test.
_Condition = Callable[[str, str | None], bool | None]

_TOKEN = re.compile(r"\s*(?:(package|test|all)\(([^()]*)\)|(&|\||!|\(|\)|and\b|or\b|not\b))")
_WORDS = {"and": "&", "or": "|", "not": "!"}


@dataclass(frozen=True, slots=True)
class TestFilter:
    """A parsed filter expression."""

    __test__: ClassVar[bool] = False

    _holds: _Condition

    def __call__(self, package: str, test: str) -> bool:
        """Return whether a test is selected."""
        return bool(self._holds(package, test))

    def may_select(self, package: str) -> bool:
        """Return whether some test of a package, whatever its name, may be selected."""
        return self._holds(package, None) is not False


@dataclass(frozen=True, slots=True, kw_only=True)
class Selector:
    """The options that restrict which tests run."""

    run: str = ""
    skip: str = ""
    filter: TestFilter | None = None
    partition: Partition | None = None
    failed: Mapping[str, tuple[str, ...]] | None = None  # by package; () is all of it

    @property
    def picks_names(self) -> bool:
        """Whether tests are selected one by one, by name."""
        return any(what is not None for what in (self.filter, self.partition, self.failed))

    @property
    def wants_tests(self) -> bool:
        """Whether packages without tests are not enough: certain tests are asked for."""
        return self.filter is not None or self.failed is not None

    def select_from(self, packages: Sequence[TestPackage]) -> list[tuple[TestPackage, Selection]]:
        """Return the packages of which a test can run, whatever --run is, and what is selected.

        What failed before may be in a package that cannot be listed now, under another name.
        """
        names = {package.name for package in packages}
        lost = self.failed is not None and not names.issuperset(self.failed)
        found = []
        for package in packages:
            selection = self.select(package)
            if selection is None and lost and package.problem:
                selection = Selection(run=self.run, skip=self.skip)
            if selection is not None:
                found.append((package, selection))
        return found

    def select(self, package: TestPackage) -> Selection | None:
        """Return the selection for a package; None if no test of it can run, whatever --run is."""
        whole = Selection(run=self.run, skip=self.skip)
        if not self.picks_names:
            return whole
        if self.failed is not None and package.name not in self.failed:
            return None
        if package.problem:
            return whole if self._may_select(package.name) else None
        if package.is_open:
            return Selection() if self._selects_whole(package) else None
        names = tuple(
            name
            for name in package.tests
            if self._selects(package, name)
            or (name in package.unloaded and self._may_select_from(package.name, name))
        )
        if package.is_provisional:
            selects = self._may_select(package.name)
        elif not package.tests:  # what else it does belongs to one part
            return whole if self._selects_whole(package) else None
        else:
            selects = bool(names)
        return Selection(names=names, run=self.run, skip=self.skip) if selects else None

    def _may_select(self, package: str) -> bool:
        """Return whether tests of a package that are not known may be selected."""
        return self.filter is None or self.filter.may_select(package)

    def _may_select_from(self, package: str, file: str) -> bool:
        """Return whether tests of a file that are not known may be selected."""
        failed = self.failed[package] if self.failed is not None else ()
        if failed and not any(name == file or name.startswith(f"{file}::") for name in failed):
            return False
        return self._may_select(package)

    def _selects_whole(self, package: TestPackage) -> bool:
        """Return whether a package is run whose tests are known only then, or that has none."""
        return self._selects(package, "")

    def _selects(self, package: TestPackage, test: str) -> bool:
        return self._matches(package.name, test) and self._is_in_part(package.place_name, test)

    def _matches(self, package: str, test: str) -> bool:
        failed = self.failed[package] if self.failed is not None else ()
        if test and failed and test not in failed:
            return False
        return self.filter is None or self.filter(package, test)

    def _is_in_part(self, package: str, test: str) -> bool:
        return self.partition is None or self.partition.holds(package, test)

    def forecast(self, packages: Iterable[TestPackage]) -> str:
        """Return a line about how long the part of `--partition` takes; "" if nothing is known."""
        if self.partition is None:
            return ""
        return self.partition.forecast(
            (package.place_name, test)
            for package in packages
            if self.failed is None or package.name in self.failed
            for test in (("",) if package.is_open else package.tests)
            if self._matches(package.name, test)
        )


def may_have_tests(package: TestPackage) -> bool:
    """Return whether a package has tests, or may have some that are not known."""
    unknown = package.problem or package.is_open or package.is_provisional
    return bool(unknown or package.tests)


def some_tests(packages: Iterable[TestPackage]) -> str:
    """Return a hint that names tests of these packages."""
    names = [f"{package.name}.{test}" for package in packages for test in package.tests]
    return f"tests here: {', '.join(names[:5])}, …" if names else "there are no tests here"


def nearest_test(names: Iterable[str], pattern: str) -> str:
    """Return a hint that names the test closest to a pattern, or else some tests."""
    ordered = sorted(names)
    close = nearest(pattern.strip("^$").partition("/")[0], ordered)
    return f"did you mean {close}?" if close else f"tests here: {', '.join(ordered[:5])}"


def parse_filter(text: str) -> TestFilter:
    """Parse a filter expression.

    Raises:
        UsageError: The expression is not valid.
    """
    return TestFilter(_FilterParser(text).parse())


class _FilterParser:
    """Recursive descent over `or`, `and`, `not`, from the weakest to the strongest."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens: list[tuple[str, str]] = []
        position = 0
        while text[position:].strip():
            found = _TOKEN.match(text, position)
            if found is None:
                raise self._error(f"cannot read {text[position:].strip()!r}")
            word = found[3] or found[1]
            self._tokens.append((_WORDS.get(word, word), found[2] or ""))
            position = found.end()
        self._at = 0

    def parse(self) -> _Condition:
        predicate = self._or_expression()
        if self._at < len(self._tokens):
            raise self._error(f"unexpected {self._tokens[self._at][0]!r}")
        return predicate

    def _or_expression(self) -> _Condition:
        left = self._and_expression()
        while self._accept("|"):
            left = _or(left, self._and_expression())
        return left

    def _and_expression(self) -> _Condition:
        left = self._operand()
        while self._accept("&"):
            left = _and(left, self._operand())
        return left

    def _operand(self) -> _Condition:
        if self._accept("!"):
            inner = self._operand()
            return _not(inner)
        if self._accept("("):
            inner = self._or_expression()
            if not self._accept(")"):
                raise self._error("missing closing parenthesis")
            return inner
        if self._at >= len(self._tokens):
            raise self._error("unexpected end")
        word, glob = self._tokens[self._at]
        self._at += 1
        if word == "package":
            return lambda package, _test: fnmatchcase(package, glob)
        if word == "test":
            return lambda _package, test: None if test is None else _is_named(test, glob)
        if word == "all":
            return lambda _package, _test: True
        raise self._error(f"unexpected {word!r}")

    def _accept(self, token: str) -> bool:
        found = self._at < len(self._tokens) and self._tokens[self._at][0] == token
        self._at += found
        return found

    def _error(self, why: str) -> UsageError:
        return UsageError(
            f"--filter {self._text!r}: {why}",
            hint="such as 'package(*/store) & !test(TestSlow*)'",
        )


def _is_named(test: str, glob: str) -> bool:
    return fnmatchcase(test, glob) or fnmatchcase(test.replace("%2F", "/"), glob)


def _not(inner: _Condition) -> _Condition:
    def holds(package: str, test: str | None) -> bool | None:
        found = inner(package, test)
        return None if found is None else not found

    return holds


def _or(left: _Condition, right: _Condition) -> _Condition:
    def holds(package: str, test: str | None) -> bool | None:
        found = (left(package, test), right(package, test))
        if any(found):
            return True
        return None if None in found else False

    return holds


def _and(left: _Condition, right: _Condition) -> _Condition:
    return _not(_or(_not(left), _not(right)))
