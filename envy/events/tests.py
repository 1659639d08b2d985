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
class TestResultTaken(Event):
    """The result of a package was taken from a server, verified; `bytes` is that of its events."""

    __test__: ClassVar[bool] = False
    text: ClassVar[str] = "{package}: its result was taken from {server}, {bytes} bytes"
    package: str
    server: str
    bytes: int


@event
class TestResultNotTaken(Event):
    """A server does not have the result of a package, or it cannot be used here."""

    __test__: ClassVar[bool] = False
    text: ClassVar[str] = "{package}: no result was taken from {server}: {reason}"
    package: str
    server: str
    reason: str


@event
class TestResultStored(Event):
    """The result of a package was stored on a server; `bytes` is 0 if that had all of it."""

    __test__: ClassVar[bool] = False
    text: ClassVar[str] = "{package}: its result was stored on {server}, {bytes} bytes"
    package: str
    server: str
    bytes: int


@event
class TestResultNotStored(Event):
    """The result of a package that passed was not stored on a server."""

    __test__: ClassVar[bool] = False
    text: ClassVar[str] = "{package}: its result was not stored on {server}: {reason}"
    package: str
    server: str
    reason: str


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


@event
class TestExecuted(Event):
    """A server has executed a test program, or answered with a former success (`cached`)."""

    __test__: ClassVar[bool] = False
    text: ClassVar[str] = "{package}: executed by {server} in {duration_ms} ms: exit {exit_code}"
    package: str
    server: str
    exit_code: int
    cached: bool
    duration_ms: int


@event
class TestKeptLocal(Event):
    """The tests of a package run here, although a server executes tests."""

    __test__: ClassVar[bool] = False
    text: ClassVar[str] = "{package} runs here: {reason}"
    package: str
    reason: str
