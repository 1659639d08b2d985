"""The phases of test packages, and the builds of their tests."""

from typing import ClassVar

from envy.events.base import Event, event


@event
class TestBuildStart(Event):
    """`envy test` starts a compiler for these packages."""

    __test__: ClassVar[bool] = False
    text: ClassVar[str] = "building the tests of {packages}"
    packages: str  # their names, separated by spaces


@event
class TestBuildComplete(Event):
    __test__: ClassVar[bool] = False
    text: ClassVar[str] = "built in {duration_ms} ms: {packages}"
    packages: str  # their names, separated by spaces
    duration_ms: int


@event
class TestPhaseStart(Event):
    """A phase of a test package, such as key, run or report."""

    __test__: ClassVar[bool] = False
    text: ClassVar[str] = "{package}: {phase}"
    package: str
    phase: str


@event
class TestPhaseComplete(Event):
    __test__: ClassVar[bool] = False
    text: ClassVar[str] = "{package}: {phase} done in {duration_ms} ms"
    package: str
    phase: str
    duration_ms: int
