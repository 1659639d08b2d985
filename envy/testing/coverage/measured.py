"""Asking a driver what its tests covered, at the end of a session, and what it cannot tell."""

from __future__ import annotations

from collections.abc import Sequence

from envy.testing.coverage.model import MeasuresCoverage, PackageCoverage, merged
from envy.testing.coverage.report import missing_coverage


def measured(driver: object, least: float) -> tuple[list[PackageCoverage] | None, str]:
    """Return what was covered, None if the driver cannot tell, and why `least` is not reached."""
    if not isinstance(driver, MeasuresCoverage):
        return None, missing_coverage([], least)
    packages = merged(driver.covered())
    return packages, missing_coverage(packages, least)


def parts_of(driver: object) -> Sequence[object]:
    """Return the drivers that a driver consists of."""
    parts: Sequence[object] = getattr(driver, "drivers", (driver,))
    return parts


def not_measured(driver: object) -> list[str]:
    """Return the names of the drivers that cannot measure what their tests cover."""
    return [
        str(getattr(part, "name", ""))
        for part in parts_of(driver)
        if not (isinstance(part, MeasuresCoverage) and getattr(part, "measures", True))
    ]


def notes_of(driver: object) -> list[str]:
    """Return what drivers say about what they could not measure."""
    return [note for part in parts_of(driver) for note in getattr(part, "notes", ())]
