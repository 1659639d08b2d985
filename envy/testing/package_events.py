"""The events of one package: every driver emits them here."""

from __future__ import annotations

import time

from envy.testing.events import StreamEvent
from envy.testing.package import Emit, PackageRun


class PackageEvents:
    """Emits events of a package that have its name and the time; the first names its driver."""

    def __init__(self, emit: Emit, package: str, driver: str, *, attempt: int = 0) -> None:
        self._emit = emit
        self._attempt = attempt  # of all events that name no other
        self._package = package
        self._driver = driver

    def emit(
        self,
        action: str,
        *,
        test: str = "",
        output: str | None = None,
        output_type: str = "",
        elapsed: float | None = None,
        attempt: int = 0,
        reason: str = "",
    ) -> None:
        """Emit an event."""
        self._emit(
            StreamEvent(
                action=action,
                time=time.time(),
                package=self._package,
                test=test,
                output=output,
                output_type=output_type,
                elapsed=elapsed,
                attempt=attempt or self._attempt,
                reason=reason,
                driver=self._driver if action == "start" else "",
            )
        )


def note_build_failure(run: PackageRun, problem: str) -> None:
    """Note that a package cannot be built, and the lines that say why."""
    name, now = run.package.name, time.time()
    run.failed_build = name
    run.build_events += [
        StreamEvent(action="build-output", time=now, import_path=name, output=f"{line}\n")
        for line in problem.splitlines()
    ]
    run.build_events.append(StreamEvent(action="build-fail", time=now, import_path=name))
