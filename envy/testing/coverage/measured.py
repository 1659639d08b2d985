"""Asking a driver what its tests covered, at the end of a session."""

from __future__ import annotations

from envy.testing.coverage.model import MeasuresCoverage, PackageCoverage, merged
from envy.testing.coverage.report import missing_coverage


def measured(driver: object, least: float) -> tuple[list[PackageCoverage] | None, str]:
    """Return what was covered, None if the driver cannot tell, and why `least` is not reached."""
    if not isinstance(driver, MeasuresCoverage):
        return None, missing_coverage([], least)
    packages = merged(driver.covered())
    return packages, missing_coverage(packages, least)
