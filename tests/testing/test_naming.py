"""The names of packages: no two are equal."""

import itertools
from pathlib import Path

from envy.testing.naming import with_unequal_names
from envy.testing.package import TestPackage


def test_no_two_packages_have_the_same_name():
    """Those of several drivers have a prefix, and those of one driver a number."""
    rows = [("a", "go"), ("a", "native"), ("a", "node"), ("a", "go"), ("a#2", "go"), ("a", "go")]
    rows += [("b", "ctest"), ("./b", "ctest"), ("b", "ctest")]
    packages = [TestPackage(name=n, directory=Path("/"), driver=d) for n, d in rows]
    named = with_unequal_names(packages)
    assert [package.name for package in named] == [
        "a", "./a", "a:node", "a#3", "a#2", "a#4", "b", "./b", "b#2",
    ]  # fmt: skip
    for length in range(len(packages)):
        one, two = itertools.tee(with_unequal_names(packages[:length]))
        assert len({package.name for package in one}) == len(list(two))
