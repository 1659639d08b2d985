"""What a run is going to test, for views that show it from the start."""

from __future__ import annotations

from collections.abc import Sequence

from envy.testing.package import Driver, PackageRun, PlannedPackage


def planned(runs: Sequence[PackageRun], driver: Driver) -> list[PlannedPackage]:
    """Return the packages of a run with their tests, as far as they are known."""
    plan = []
    for run in runs:
        selection = run.selection
        tests = driver.select(run, selection) if run.package.tests else ()
        plan.append(
            PlannedPackage(
                name=run.package.name,
                directory=run.package.directory,
                tests=tests,
                whole=selection.names is None and not (selection.run or selection.skip),
            )
        )
    return plan
