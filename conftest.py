"""Fixtures for all tests: servers on loopback, so that no test needs a network."""

import compileall
import os
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# The servers are plain modules (`loopback.http_server`, …), for unit and functional tests alike.
sys.path.insert(0, str(Path(__file__).parent / "tests"))

from installed import folder_in_memory, works
from loopback.git_repository import GitRepository
from loopback.http_server import LoopbackProxy, LoopbackServer, serving_tls
from loopback.npm_registry import FakeNpmRegistry
from loopback.package_index import FakePackageIndex
from loopback.programs import Recorder

# No test is timed: on a busy machine, an example that is drawn slowly is not a failure. Examples
# are the same in each run, so that a failure is due to a change; `make soak` looks for new ones.
settings.register_profile(
    "steady",
    deadline=None,
    derandomize=not any(name.startswith("ENVY_SOAK_") for name in os.environ),
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("steady")

SETTINGS_OF_CALLERS = (
    "CI",
    "NO_COLOR",
    "FORCE_COLOR",
    "CLICOLOR",
    "CLICOLOR_FORCE",
    "TMUX",
    "PYTHONDONTWRITEBYTECODE",
)


@pytest.fixture
def http_server() -> Iterator[LoopbackServer]:
    """A web server whose routes the test writes down."""
    with LoopbackServer() as server:
        yield server


@pytest.fixture
def https_server(tmp_path: Path) -> Iterator[tuple[LoopbackServer, Path]]:
    """The same with TLS, and the file of the authority that vouches for it."""
    with serving_tls(tmp_path) as serving:
        yield serving


@pytest.fixture
def http_proxy() -> Iterator[LoopbackProxy]:
    """A forward proxy that notes what it was asked for."""
    with LoopbackProxy() as proxy:
        yield proxy


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port of 127.0.0.1 at which nothing listens, and which no other program gets."""
    with socket.socket() as kept:
        kept.bind(("127.0.0.1", 0))
        yield kept.getsockname()[1]


@pytest.fixture
def package_index(http_server: LoopbackServer) -> FakePackageIndex:
    """A Python package index; name it in PIP_INDEX_URL."""
    return FakePackageIndex(http_server)


@pytest.fixture
def npm_registry(http_server: LoopbackServer) -> FakeNpmRegistry:
    """An npm registry; name it in npm_config_registry."""
    return FakeNpmRegistry(http_server)


@pytest.fixture
def git_repository(tmp_path: Path) -> GitRepository:
    """An empty repository to commit to."""
    return GitRepository(tmp_path / "repositories")


@pytest.fixture
def recorder() -> Recorder:
    """What makes fetch contexts and records what they are told."""
    return Recorder()


def pytest_configure(config: pytest.Config) -> None:
    """Remove the settings of the caller from the environment, and compile envy.

    What a service that runs builds sets, and what a developer prefers, changes what envy prints.
    A test that needs a setting makes it.

    Signals that the caller ignores, as shells let background jobs ignore Ctrl-C, are not ignored by
    the programs that tests start: a handler, unlike SIG_IGN, is not inherited.

    Without its bytecode, each of the thousands of processes that tests start takes twice as long.
    Temporary folders lie in memory where they can: a quarter of the time went to flushes.
    """
    settings_of_tests = ("ENVY_SOAK_", "ENVY_WRITE_SNAPSHOTS")
    for name in [*os.environ]:
        if name.startswith(("ENVY_", "GITHUB_")) and not name.startswith(settings_of_tests):
            del os.environ[name]
    for name in SETTINGS_OF_CALLERS:
        os.environ.pop(name, None)
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGTERM):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, lambda _number, _frame: None)
    if not hasattr(config, "workerinput"):
        compileall.compile_dir(Path(__file__).parent / "envy", quiet=2)
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", folder_for_tests())


def folder_for_tests() -> str:
    """Return the folder that TMPDIR names, or else one in memory, or else /tmp.

    The scripts of many tests do not quote their paths, so one with a space will not do.
    """
    named = os.environ.get("TMPDIR", "")
    if (
        Path(named).is_absolute()
        and Path(named).is_dir()
        and not any(letter.isspace() for letter in named)
    ):
        return named
    return folder_in_memory() or "/tmp"  # noqa: S108


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test that needs a program which does not work here."""
    for mark in item.iter_markers("needs"):
        for program in mark.args:
            if not works(program):
                pytest.skip(f"{program} is missing, or does not work here")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what tests counted: steps that were made to fail, rounds that were survived."""
    shown = {
        str(value): None
        for report in terminalreporter.getreports("passed")
        for name, value in report.user_properties
        if name == "shown"
    }
    for line in shown:
        terminalreporter.write_line(line)
