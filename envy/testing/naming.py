"""The names of packages: what results, reports and selections tell packages apart by.

Guarantees
  No two packages of a run have the same name. The first one that a driver finds keeps its own, so
  that the same project gives the same names on every machine.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import count

from envy.testing.package import Driver, TestPackage


def find_tests(driver: Driver, patterns: Sequence[str]) -> list[TestPackage]:
    """Return the packages that a driver finds, by their names, of which no two are equal.

    Raises:
        UsageError: A pattern is not valid; NothingMatched: no package matches.
    """
    found = driver.discover(patterns)
    return sorted(with_unequal_names(found), key=lambda package: package.name)


def with_unequal_names(packages: Sequence[TestPackage]) -> list[TestPackage]:
    """Return packages with a name for each: an equal one gets a prefix, its driver, or a number.

    The folder of one driver may have the name of another driver's package, and one program may be
    several packages of CTest.
    """
    taken = {package.name for package in packages}
    drivers: dict[str, str] = {}  # of the names that are given
    found = []
    for package in packages:
        name = package.name
        if name in drivers:
            is_other = drivers[name] != package.driver
            names = _other_names(package, is_other=is_other)
            name = next(one for one in names if one not in taken)
        taken.add(name)
        drivers[name] = package.driver
        found.append(package if name == package.name else replace(package, name=name))
    return found


def _other_names(package: TestPackage, *, is_other: bool) -> Iterator[str]:
    if is_other:
        yield f"./{package.name}"
        yield f"{package.name}:{package.driver}"
    for number in count(2):
        yield f"{package.name}#{number}"
