"""The kinds of tests that `envy test` finds beside Go packages and native tests."""

from __future__ import annotations

from envy.testing.drivers.projects.cargo.kind import CargoKind
from envy.testing.drivers.projects.command import CommandKind
from envy.testing.drivers.projects.ctest.kind import CTestKind
from envy.testing.drivers.projects.gtest.kind import GTestKind
from envy.testing.drivers.projects.jest.kind import JestKind
from envy.testing.drivers.projects.kind import TestKind
from envy.testing.drivers.projects.node_kind import NodeRunnerKind
from envy.testing.drivers.projects.pytest_kind import PytestKind
from envy.testing.drivers.projects.vitest.kind import VitestKind

_ALL: tuple[TestKind, ...] = (
    CargoKind(),
    CommandKind(),
    CTestKind(),
    GTestKind(),
    JestKind(),
    NodeRunnerKind(),
    PytestKind(),
    VitestKind(),
)
KINDS: dict[str, TestKind] = {kind.name: kind for kind in _ALL}
