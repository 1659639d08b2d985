"""Hints for a selection that leaves no test: which tests there are."""

from __future__ import annotations

from collections.abc import Sequence

from envy.suggest import nearest
from envy.testing.package import PackageRun, TestPackage


def tests_here(packages: Sequence[TestPackage]) -> str:
    """Return the first tests of packages, as a hint."""
    names = [f"{package.name}.{test}" for package in packages for test in package.tests]
    return f"tests here: {', '.join(names[:5])}, …" if names else "there are no tests here"


def nearest_test(pattern: str, runs: Sequence[PackageRun]) -> str:
    """Return the test whose name is nearest to a pattern, or else the first tests, as a hint."""
    names = sorted({name for run in runs for name in run.package.tests})
    close = nearest(pattern.strip("^$").partition("/")[0], names)
    return f"did you mean {close}?" if close else f"tests here: {', '.join(names[:5])}"
