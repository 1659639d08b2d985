"""The state of a run that the terminal view shows, computed from its events alone, without Textual.

The tree holds the whole plan from the start. What a row says is always derived from what is known:
a package with a failing test is failing, whatever was run again since.

An event costs a step for each level of the tree, whatever the number of tests.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from envy.console.text import safe_line
from envy.masking import masked
from envy.testing.events import ENDINGS, StreamEvent
from envy.testing.package import PlannedPackage
from envy.testing.views.tui.node import (
    MAKING,
    PAUSED,
    RUNNING,
    WAITING,
    Node,
    below,
)
from envy.testing.views.tui.output import Output

_CANCELLED = "cancelled"  # the reason of what the user stopped
_NOTES = 6  # lines of a failed build in the tree
_WORTH = 0.05  # seconds that are long enough to be waited for
_NUMBERS = {"pass": "passed", "fail": "failed", "skip": "skipped"}


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEnd:
    """How a run ended."""

    seconds: float = 0.0
    stopped: bool = False  # by the user
    reason: str = ""  # why packages were not run
    too_little: str = ""  # covered, for --min-coverage
    error: str = ""


@dataclass(slots=True)
class RunModel:
    """The state of a run and its reruns."""

    packages: dict[str, Node] = field(default_factory=dict)
    output: Output = field(default_factory=Output)
    folders: dict[str, str] = field(default_factory=dict)  # of packages
    phase: str = "discovering"
    done: int = 0
    total: int = 0
    counts: dict[str, int] = field(default_factory=lambda: {"pass": 0, "fail": 0, "skip": 0})
    running: dict[Node, None] = field(default_factory=dict)  # tests, the oldest first
    making: dict[Node, None] = field(default_factory=dict)  # packages
    end: RunEnd | None = None
    left: int = 0  # tests of the last run that did not run
    left_packages: int = 0
    too_little: str = ""  # covered by the last run of everything
    left_out: dict[str, str] = field(default_factory=dict)  # by --changed, each with why
    number: int = 1  # of the run
    changes: int = 0
    shape: int = 0  # changes of the rows, and of what fails
    _whole: bool = True  # the run is of everything
    _planned: bool = False
    _parts: set[str] = field(default_factory=set)  # packages of which only a part runs
    _tops: dict[str, frozenset[str]] = field(default_factory=dict)
    _tests: dict[tuple[str, str], Node] = field(default_factory=dict)
    _builds: dict[str, list[str]] = field(default_factory=dict)

    # -- the run -------------------------------------------------------------------------------

    def begin(self, *, everything: bool) -> None:
        """Start a run; tests that it does not run keep their state."""
        self.number += 1
        self.phase, self.done, self.total = "discovering", 0, 0
        self.running.clear()
        self.making.clear()
        self.end = None
        self.left = self.left_packages = 0
        self._builds.clear()  # a build that fails again reports its errors again
        self._parts.clear()
        self.left_out.clear()
        self._whole, self._planned = everything, False
        if everything:
            self.output.clear()
            for package in self.packages.values():
                self._reset(package)
        self._reshaped()

    def on_plan(self, plan: Sequence[PlannedPackage]) -> None:
        """Take what is going to run; it waits until its events come."""
        self._planned = True
        for planned in plan:
            self.folders[planned.name] = str(planned.directory)
            self._tops[planned.name] = frozenset(planned.tests)
            package = self._package(planned.name)
            package.activity = package.activity or WAITING
            if not (planned.whole or self._whole):
                self._parts.add(planned.name)
            for test in planned.tests:
                node = self._test(package, test)
                usual = planned.usual.get(test, 0.0)
                node.usual = usual if usual >= _WORTH else 0.0
                if node.run < self.number:
                    node.activity = WAITING
        if self._whole:
            self._keep_only({planned.name: set(planned.tests) for planned in plan})
        self._reshaped()

    def on_phase(self, phase: str, done: int, total: int) -> None:
        """Record the progress of a phase."""
        self.phase, self.done, self.total = phase, done, total
        self.changes += 1

    def on_build(self, names: Sequence[str], *, starts: bool) -> None:
        """Record that the compiler starts or ends with these packages."""
        for name in names:
            package = self.packages.get(name)
            if package is None:
                continue
            if starts:
                self.making[package] = None
            else:
                self.making.pop(package, None)
            if package.activity in {WAITING, MAKING}:
                package.activity = MAKING if starts else WAITING
        self.changes += 1

    def on_event(self, event: StreamEvent) -> None:
        """Apply one event."""
        self.changes += 1
        if not event.package:
            if event.action == "build-output" and event.output:
                self._builds.setdefault(event.import_path, []).append(event.output)
            return
        if event.is_left_out:
            self.left_out[event.package] = event.reason
            return
        package = self._package(event.package)
        if event.action == "output":
            self.output.add(event.package, event.test, event.output or "")
        elif event.test:
            self._on_test(package, event)
        elif event.action == "start":
            self._on_start(package, event)
        elif event.action in ENDINGS:
            self._on_package_end(package, event)

    def on_end(self, end: RunEnd) -> None:
        """Record the end of the run; what still waits did not run."""
        self.phase, self.end = "done", end
        self.too_little = end.too_little if self._whole else self.too_little
        if self._whole and not self._planned and not end.error:
            self._keep_only({name: set[str]() for name, node in self.packages.items()
                             if node.run == self.number or node.activity == RUNNING})  # fmt: skip
        for package in self.packages.values():
            self.left_packages += package.activity in {WAITING, MAKING}
            self._settle(package)
        self.running.clear()
        self.making.clear()
        self._reshaped()

    # -- packages ------------------------------------------------------------------------------

    def _package(self, name: str) -> Node:
        node = self.packages.get(name)
        if node is None:
            node = self.packages[name] = Node(name, "", name)
            self._reshaped()
        return node

    def _on_start(self, package: Node, event: StreamEvent) -> None:
        if package.outcome == "build":
            self._drop_notes(package)
            self._break(package, is_broken=False)
            package.outcome = ""
        package.activity, package.began, package.reason = RUNNING, event.time, ""
        package.cached = False
        self.making.pop(package, None)
        if package.package in self._parts:
            self.output.drop(package.package, "")
        else:
            self.output.drop_package(package.package)

    def _on_package_end(self, package: Node, event: StreamEvent) -> None:
        package.elapsed, package.cached = event.elapsed or 0.0, event.cached
        package.run = self.number
        if event.failed_build:
            self._on_unbuilt(package, event)
            return
        is_part = package.package in self._parts
        if event.reason == _CANCELLED:
            self._settle(package)
            self._reshaped()
            return
        if event.action == "fail":
            package.outcome, package.reason = "fail", event.reason
            fails_inside = any(node.broken and node.run == self.number for node in below(package))
            if not fails_inside:
                self._break(package, is_broken=True)
            elif not is_part:
                self._break(package, is_broken=False)
        else:
            # Tests that its tests ran on purpose may have failed in this run.
            for node in below(package):
                if node.broken and node.run == self.number:
                    self._break(node, is_broken=False)
            if not (is_part and package.broken):
                package.outcome, package.reason = event.action, event.reason
                self._break(package, is_broken=False)
        self._settle(package)
        if not is_part:
            self._forget_older(package)
        self._reshaped()

    def _on_unbuilt(self, package: Node, event: StreamEvent) -> None:
        text = "".join(self._builds.get(event.failed_build, []))
        self._forget_tests(package)
        self.output.drop_package(event.package)
        self.output.add(event.package, "", text)
        for number, line in enumerate(text.splitlines()[:_NOTES]):
            package.children[f"note {number}"] = Node(
                event.package, "", safe_line(line), package, 1, is_note=True
            )
        package.activity, package.outcome, package.reason = "", "build", event.reason
        package.expanded = True
        self._break(package, is_broken=True)
        self._reshaped()

    @property
    def unbuilt(self) -> int:
        """The number of packages that failed to build."""
        return sum(package.outcome == "build" for package in self.packages.values())

    # -- tests ---------------------------------------------------------------------------------

    def _on_test(self, package: Node, event: StreamEvent) -> None:
        node = self._test(package, event.test)
        if event.action in {"run", "cont"}:
            if event.action == "run" and node.run < self.number:
                self.output.drop(event.package, event.test)
            node.activity, node.began = RUNNING, event.time
            self.running[node] = None
        elif event.action == "pause":
            node.activity = PAUSED
            self.running.pop(node, None)
        elif event.action in ENDINGS:
            self._on_test_end(package, node, event)

    def _on_test_end(self, package: Node, node: Node, event: StreamEvent) -> None:
        if event.reason == _CANCELLED:
            return  # it has no outcome, and ends with its package
        self.running.pop(node, None)
        node.activity, node.cached = "", event.cached
        failed_before = node.run == self.number and node.outcome == "fail"
        # As with -count, one failure among several runs is a failure; a retry replaces it.
        if failed_before and event.action != "fail" and event.attempt <= 1:
            return
        node.flaky = failed_before and event.action == "pass"
        if node.outcome != event.action:
            self._count(package, node.outcome, -1)
            self._count(package, event.action, 1)
        node.outcome, node.run = event.action, self.number
        node.elapsed, node.reason = event.elapsed or 0.0, event.reason
        self._break(node, is_broken=event.action == "fail")
        if event.action == "fail" and not package.expanded:
            package.expanded = True
            self._reshaped()

    def _test(self, package: Node, test: str) -> Node:
        node = self._tests.get((package.package, test))
        if node is not None:
            return node
        parent = self._parent_of(package, test)
        label = test[len(parent.test) + 1 :] if parent.test else test
        node = Node(package.package, test, label, parent, parent.depth + 1)
        parent.children[test] = node
        self._tests[package.package, test] = node
        self._reshaped()
        return node

    def _parent_of(self, package: Node, test: str) -> Node:
        """Return the test that runs this subtest.

        A name may hold slashes of its own: what the driver lists is a test as it is, and a subtest
        belongs to the innermost test that is running, since its parent waits for it.
        """
        if test in self._tops.get(package.package, ()):
            return package
        above = []
        at = test.rfind("/")
        while at > 0:
            node = self._tests.get((package.package, test[:at]))
            if node is not None:
                above.append(node)
            at = test.rfind("/", 0, at)
        active = (node for node in above if node.activity in {RUNNING, PAUSED})
        return next(active, above[0] if above else package)

    def log(self, node: Node, *, raw: bool) -> list[str]:
        """Return the lines of a node's output without secrets; without framing unless `raw`.

        They may hold control characters.
        """
        tests = [node.test, *(child.test for child in below(node))] if node.depth else None
        text = masked(self.output.text(node.package, tests, raw=raw)).removesuffix("\n")
        return text.split("\n") if text else []

    # -- keeping the tree right ----------------------------------------------------------------

    def _break(self, node: Node, *, is_broken: bool) -> None:
        """Note whether a node fails by itself, in all nodes above it."""
        by = is_broken - node.broken
        if not by:
            return
        node.broken = is_broken
        at: Node | None = node
        while at is not None:
            at.failing += by
            at = at.parent
        self._reshaped()

    def _count(self, package: Node, outcome: str, by: int) -> None:
        if outcome in self.counts:
            self.counts[outcome] += by
            name = _NUMBERS[outcome]
            setattr(package, name, getattr(package, name) + by)

    def _settle(self, package: Node) -> None:
        """End what is still active in a package; what did not come to an end is not run."""
        for node in below(package):
            if node.activity:
                self.left += node.depth == 1
                node.activity = ""
                self.running.pop(node, None)
        package.activity = ""

    def _reset(self, package: Node) -> None:
        """Let a package and its tests wait; subtests come back with their events."""
        self._drop_notes(package)
        for node in below(package):
            if node.depth > 1:
                self._tests.pop((node.package, node.test), None)
        for node in (package, *package.children.values()):
            node.outcome = node.reason = ""
            node.activity, node.elapsed, node.began = WAITING, 0.0, 0.0
            node.cached = node.flaky = node.broken = False
            node.failing = 0
        for node in package.children.values():
            node.children.clear()
        self._forget_counts(package)

    def _forget_counts(self, package: Node) -> None:
        for outcome, name in _NUMBERS.items():
            self.counts[outcome] -= getattr(package, name)
            setattr(package, name, 0)

    def _forget_tests(self, package: Node) -> None:
        """Remove the tests of a package."""
        for node in list(below(package)):
            self._break(node, is_broken=False)
            self.running.pop(node, None)
            self._tests.pop((node.package, node.test), None)
        package.children.clear()
        self._forget_counts(package)

    def _forget_older(self, package: Node) -> None:
        """Remove the tests that a run of the whole package did not have any more."""
        for node in list(below(package)):
            is_known = node.test in self._tops.get(package.package, ())
            if node.run < self.number and node.outcome and not is_known and node.parent is not None:
                self._break(node, is_broken=False)
                self._count(package, node.outcome, -1)
                node.parent.children.pop(node.test, None)
                self._tests.pop((node.package, node.test), None)

    def _drop_notes(self, package: Node) -> None:
        for key in [key for key, node in package.children.items() if node.is_note]:
            del package.children[key]

    def _keep_only(self, plan: dict[str, set[str]]) -> None:
        """Remove packages, and tests that have no result of this run, that are not in the plan."""
        for name in [name for name in self.packages if name not in plan]:
            self._forget_tests(self.packages.pop(name))
            self.folders.pop(name, None)
        for name, package in self.packages.items():
            for node in list(package.children.values()):
                if node.test not in plan[name] and node.run < self.number and not node.is_note:
                    package.children.pop(node.test, None)
                    self._tests.pop((name, node.test), None)
                    self._count(package, node.outcome, -1)

    def _reshaped(self) -> None:
        self.shape += 1
        self.changes += 1
