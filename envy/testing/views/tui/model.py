"""The state that the terminal view shows, computed from events alone, without Textual.

A tree of packages, tests and subtests with their states and output, the phase of the run, and the
visible rows of the tree. Everything here is fast for trees of ten thousand tests.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from envy.console.text import format_seconds, safe_line, safe_lines
from envy.testing.events import ENDINGS, StreamEvent

_FRAMES = ("=== RUN ", "=== PAUSE ", "=== CONT ", "=== NAME ")
ICONS = {
    "": "·",
    "run": "▶",
    "pause": "‖",
    "pass": "✓",
    "fail": "✗",
    "skip": "↷",
    "build": "⚒",
    "note": " ",
}


@dataclass(slots=True, eq=False)
class Node:
    """A package, a test, a subtest, or a line of a failed build."""

    package: str
    test: str
    label: str
    depth: int
    status: str = ""
    elapsed: float = 0.0
    reason: str = ""
    began: float = 0.0
    expanded: bool = False
    children: dict[str, Node] = field(default_factory=dict)
    passed: int = 0  # of a package: its tests, with subtests
    failed: int = 0
    skipped: int = 0


@dataclass(slots=True)
class RunModel:
    """The state of a run and its reruns."""

    packages: dict[str, Node] = field(default_factory=dict)
    output: dict[str, list[tuple[str, str]]] = field(default_factory=dict)  # test, text
    phase: str = "discovering"
    done: int = 0
    total: int = 0
    counts: dict[str, int] = field(default_factory=lambda: {"pass": 0, "fail": 0, "skip": 0})
    unbuilt: int = 0
    current: Node | None = None
    seconds: float = 0.0
    ended: str = ""  # the summary of the run, once it has ended
    changes: int = 0
    _tests: dict[tuple[str, str], Node] = field(default_factory=dict)
    _builds: dict[str, list[str]] = field(default_factory=dict)

    # -- events --------------------------------------------------------------------------------

    def clear(self) -> None:
        """Remove everything, for a run of all tests."""
        for part in (self.packages, self.output, self._tests, self._builds):
            part.clear()
        self.counts.update({"pass": 0, "fail": 0, "skip": 0})
        self.unbuilt = 0
        self.begin()

    def begin(self) -> None:
        """Start a run; tests that it does not run keep their state."""
        self.phase, self.done, self.total = "discovering", 0, 0
        self.current, self.ended = None, ""
        self._builds.clear()  # a build that fails again reports its errors again
        self.changes += 1

    def on_phase(self, phase: str, done: int, total: int) -> None:
        """Record the progress of a phase."""
        self.phase, self.done, self.total = phase, done, total
        self.changes += 1

    def on_event(self, event: StreamEvent) -> None:
        """Apply one event."""
        self.changes += 1
        if not event.package:
            if event.action == "build-output" and event.output:
                self._builds.setdefault(event.import_path, []).append(event.output)
            return
        package = self._package(event.package)
        if event.action == "output":
            self.output.setdefault(event.package, []).append((event.test, event.output or ""))
        elif event.test:
            self._on_test(package, event)
        elif event.action == "start":
            self._on_start(package, event)
        elif event.action in ENDINGS:
            self._on_package_end(package, event)

    def on_end(self, summary: str, seconds: float) -> None:
        """Record the end of the run."""
        self.phase, self.ended, self.seconds = "done", summary, seconds
        self.current = None
        self.changes += 1

    def _package(self, name: str) -> Node:
        node = self.packages.get(name)
        if node is None:
            node = self.packages[name] = Node(name, "", name, 0)
        return node

    def _on_start(self, package: Node, event: StreamEvent) -> None:
        if package.status == "build":
            self.unbuilt -= 1
            package.children.clear()
        package.status, package.began, package.reason = "run", event.time, ""
        self.output[event.package] = []
        self.current = package

    def _on_test(self, package: Node, event: StreamEvent) -> None:
        node = self._test(package, event.test)
        if event.action in {"run", "cont"}:
            self._set(package, node, "run")
            node.began = event.time
            self.current = node
        elif event.action == "pause":
            self._set(package, node, "pause")
        elif event.action in ENDINGS:
            self._set(package, node, event.action)
            node.elapsed, node.reason = event.elapsed or 0.0, event.reason
            if event.action == "fail":
                package.expanded = True

    def _test(self, package: Node, test: str) -> Node:
        node = self._tests.get((package.package, test))
        if node is not None:
            return node
        above, _, label = test.rpartition("/")
        parent = self._test(package, above) if above else package
        node = Node(package.package, test, label, parent.depth + 1)
        parent.children[label] = node
        self._tests[package.package, test] = node
        return node

    def _set(self, package: Node, node: Node, status: str) -> None:
        self._count(package, node.status, -1)
        node.status = status
        self._count(package, status, 1)

    def _count(self, package: Node, status: str, by: int) -> None:
        if status not in self.counts:
            return
        self.counts[status] += by
        name = {"pass": "passed", "fail": "failed", "skip": "skipped"}[status]
        setattr(package, name, getattr(package, name) + by)

    def _on_package_end(self, package: Node, event: StreamEvent) -> None:
        package.status, package.elapsed = event.action, event.elapsed or 0.0
        package.reason = event.reason
        if event.failed_build:
            package.status, package.expanded = "build", True
            self.unbuilt += 1
            text = "".join(self._builds.get(event.failed_build, []))
            self.output[event.package] = [("", text)]
            self._forget_tests(package)
            for number, line in enumerate(text.splitlines()[:6]):
                note = Node(event.package, "", safe_line(line), 1, status="note")
                package.children[f"note {number}"] = note
        if self.current is not None and self.current.package == event.package:
            self.current = None

    def _forget_tests(self, package: Node) -> None:
        """Remove the tests of a package that failed to build; a later run may find others."""
        for key in [key for key in self._tests if key[0] == package.package]:
            self._count(package, self._tests.pop(key).status, -1)
        package.children.clear()

    # -- rows and logs -------------------------------------------------------------------------

    def rows(self) -> list[Node]:
        """Return the visible rows of the tree, with packages ordered by name."""
        found: list[Node] = []
        stack = sorted(self.packages.values(), key=lambda node: node.label, reverse=True)
        while stack:
            node = stack.pop()
            found.append(node)
            if node.expanded:
                stack += reversed(node.children.values())
        return found

    def parent(self, node: Node) -> Node | None:
        """Return the parent of a test or subtest; None for a package."""
        if node.depth == 0:
            return None
        above = node.test.rpartition("/")[0]
        return self._tests.get((node.package, above)) or self.packages.get(node.package)

    def log(self, node: Node, *, raw: bool) -> list[str]:
        """Return the lines of a node's output, safe to show; without framing unless `raw`."""
        inside = f"{node.test}/"
        texts = [
            text
            for test, text in self.output.get(node.package, ())
            if not node.test or test == node.test or test.startswith(inside)
        ]
        if not raw:
            texts = [text for text in texts if not text.startswith(_FRAMES)]
        lines = safe_lines("".join(texts).removesuffix("\n"))
        return lines if lines != [""] else ["(no output)"]


def row_text(node: Node) -> str:
    """Return the text of a row of the tree, without its icon."""
    text = safe_line(node.label)
    if node.status == "note":
        return text
    if node.depth == 0:
        numbers = [f"✓{node.passed}"] if node.passed else []
        numbers += [f"✗{node.failed}"] if node.failed else []
        numbers += [f"↷{node.skipped}"] if node.skipped else []
        text += f"  {' '.join(numbers)}" if numbers else ""
        text += "  build failed" if node.status == "build" else ""
        text += "  no test files" if node.status == "skip" and not node.children else ""
    if node.elapsed >= 0.005:
        text += f"  {node.elapsed:.2f}s"
    return text + (f"  [{node.reason}]" if node.reason else "")


def header_text(model: RunModel, *, now: float) -> str:
    """Return the header: the phase and its progress."""
    from envy.testing.views.plain import bar

    if model.phase == "discovering":
        return "discovering packages …"
    if model.phase == "building":
        return f"building {bar(model.done, model.total)} {model.done}/{model.total}"
    numbers = f"✓{model.counts['pass']} ✗{model.counts['fail']} ↷{model.counts['skip']}"
    if model.unbuilt:
        numbers += f" ⚒{model.unbuilt}"
    if model.phase == "running":
        text = f"running {model.done} of {model.total}  {numbers}"
        node = model.current
        if node is not None:
            took = format_seconds(max(0.0, now - node.began)) if node.began else ""
            text += f"  {safe_line(node.test or node.package)} {took}"
        return text
    return f"done in {format_seconds(model.seconds)}  {numbers}"
