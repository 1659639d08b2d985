"""The kinds of tests that `envy test` finds beside Go packages and native tests."""

from __future__ import annotations

from envy.testing.drivers.projects.command import CommandKind
from envy.testing.drivers.projects.kind import TestKind
from envy.testing.drivers.projects.node_kind import NodeRunnerKind
from envy.testing.drivers.projects.pytest_kind import PytestKind

KINDS: dict[str, TestKind] = {
    kind.name: kind for kind in (CommandKind(), PytestKind(), NodeRunnerKind())
}
