"""What the terminal view asks of whoever runs the tests, without Textual."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from envy.testing.views.tui.model import RunModel

Message = Callable[[RunModel], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRequest:
    """What to run: everything, or top-level tests by package, where () is the whole package."""

    tests: Mapping[str, tuple[str, ...]] | None = None
    subtest: str = ""  # the only one of the only test, by its full name


EVERYTHING = RunRequest()


class Controller(Protocol):
    """Starts and stops runs. Its methods do not block, and are called by one thread."""

    @property
    def environment(self) -> Mapping[str, str]:
        """The variables of the command, for editors."""

    def start(self, request: RunRequest) -> bool:
        """Start a run; return False if one is active or nothing can be run."""

    def stop(self) -> None:
        """End the active run."""

    def is_running(self) -> bool:
        """Return whether a run is active."""

    def watch(self, *, on: bool) -> str:
        """Run again whenever a file changes, or no more; return why that is not possible, or ""."""

    def tick(self) -> None:
        """Start what is due; called several times a second."""


class NoController:
    """The controller of a saved run, which cannot start anything."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.environment = environment

    def start(self, request: RunRequest) -> bool:
        """Start nothing."""
        del request
        return False

    def stop(self) -> None:
        """Do nothing: nothing is running."""

    def is_running(self) -> bool:
        """Return False."""
        return False

    def watch(self, *, on: bool) -> str:
        """Refuse: a saved run does not change."""
        return "a saved run is shown" if on else ""

    def tick(self) -> None:
        """Do nothing: nothing is due."""
