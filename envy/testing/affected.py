"""Leaving out the packages that no change since a commit can affect (`--changed`)."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from envy.testing.changes import Changes, KnownReads
from envy.testing.events import NOT_AFFECTED, StreamEvent
from envy.testing.package import Driver, Known, PackageRun
from envy.testing.result_cache import ResultCache


@dataclass(frozen=True, slots=True)
class ChangedOnly:
    """Changes, and the remembered results that tell what tests read."""

    changes: Changes
    results: ResultCache

    def left_out(self, driver: Driver, runs: Sequence[PackageRun]) -> list[PackageRun]:
        """Return the packages that need not run, and set the `cause` of all others.

        Their keys are known. A package of which too little is known runs, even if git shows no
        change: it may rest on what git does not look at.
        """
        causes = driver.affected(runs, self.changes, self._known_by(driver))
        for run in runs:
            run.cause = causes.get(run.package.name, "")
        return [run for run in runs if run.package.name not in causes]

    def event_of(self, run: PackageRun) -> StreamEvent:
        """Return the event that tells of a package that was left out."""
        return StreamEvent(
            action="skip",
            time=time.time(),
            package=run.package.name,
            elapsed=0.0,
            reason=f"{NOT_AFFECTED} {self.changes.ref}",
        )

    def _known_by(self, driver: Driver) -> Known:
        def known(run: PackageRun) -> KnownReads:
            if run.kept_result is not None:
                return KnownReads(facts=run.kept_result.facts)
            key = run.result_key or driver.result_key(run)
            if not key:
                return KnownReads(missing=f"what its tests read is not known: {run.unkept}")
            return self.results.known(key, driver.environment)

        return known


def cause_of(run: PackageRun, changes: Changes, known: Known) -> str:
    """Return why a package has to run as far as its last result tells; "" if it need not.

    A result that holds proves that the tests pass as everything is now.
    """
    reads = known(run)
    for fact in reads.facts:
        cause = changes.of_fact(fact)
        if cause:
            return f"{cause} changed"
    return reads.missing
