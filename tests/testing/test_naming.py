"""The names of packages: no two are equal."""

import itertools
from pathlib import Path

from envy.testing.drivers.native.sources import package_name, place_of
from envy.testing.naming import with_unequal_names
from envy.testing.package import TestPackage
from envy.testing.partitions import Partition
from envy.testing.selection import Selector

TESTS = tuple(f"test_{number}" for number in range(20))


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


def test_the_folder_of_a_checkout_is_not_in_the_name_of_a_place(tmp_path):
    """Every machine has the same parts, whatever it calls the folder."""
    found = []
    for checkout in ("one", "other"):
        top = tmp_path / checkout
        root = top / "sub"
        for folder in (root / "lib", top / "beside"):
            folder.mkdir(parents=True)
        (top / "envy.lua").touch()
        folders = (root, root / "lib", top / "beside")
        found.append([place_of(package_name(folder, root), root) for folder in folders])
        found.append([place_of(package_name(folder, top), top) for folder in folders])
        assert place_of(f"{checkout}:bin:x", top) == ".:bin:x"
    assert found[0] == found[2] == [".", "lib", "../beside"]
    assert found[1] == found[3] == ["sub", "sub/lib", "beside"]
    assert place_of("/usr/bin/x", root) == "/usr/bin/x"
    assert place_of(package_name(top, top), top) == "."
    (root / "sub").mkdir()
    assert place_of(package_name(root, root), root) == "."
    assert place_of("sub", root) == "sub"


def test_parts_are_divided_by_places():
    """The name here decides on nothing but filters."""
    for part in range(1, 4):
        selections = [
            Selector(partition=Partition(part, 3)).select(
                TestPackage(name=name, directory=Path("/"), driver="x", tests=TESTS, place=".")
            )
            for name in ("one", "other")
        ]
        assert selections[0] == selections[1]
