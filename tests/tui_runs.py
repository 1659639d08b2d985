"""Runs for tests of the terminal view, and a controller that records what it is asked."""

from pathlib import Path

from envy.testing.events import StreamEvent
from envy.testing.package import PlannedPackage
from envy.testing.views.tui.model import RunEnd, RunModel


class RecordingController:
    """Records the requested runs."""

    def __init__(self, *, running=False, why_not="", environment=None):
        self.asked = []
        self.running = running
        self.why_not = why_not
        self.environment = environment or {}

    def start(self, request):
        self.asked.append(request)
        return True

    def stop(self):
        self.asked.append("stop")
        self.running = False

    def is_running(self):
        return self.running

    def watch(self, *, on):
        self.asked.append(("watch", on))
        return self.why_not

    def tick(self):
        """Start nothing."""


def event(action, package="m/a", test="", **more):
    return StreamEvent(action=action, package=package, test=test, time=100.0, **more)


def planned(name, *tests, whole=True):
    return PlannedPackage(name=name, directory=Path(f"/src/{name}"), tests=tests, whole=whole)


def run_tests(model, package, outcomes, *, ends="", **more):
    """Apply the events of a package whose tests end like this; a subtest follows its parent."""
    model.on_event(event("start", package))
    for test in outcomes:
        model.on_event(event("run", package, test))
    for test, outcome in outcomes.items():
        model.on_event(event("output", package, test, output=f"{test} says so\n"))
        model.on_event(event(outcome, package, test, elapsed=0.25, **more))
    ended = ends or ("fail" if "fail" in outcomes.values() else "pass")
    model.on_event(event(ended, package, elapsed=1.0, **more))


def fail_build(model, package="m/bad"):
    """Apply the events of a package that does not compile."""
    line = StreamEvent(
        action="build-output", import_path=package, output="bad.go:3: undefined: x\n"
    )
    model.on_event(line)
    model.on_event(StreamEvent(action="build-fail", import_path=package))
    model.on_event(event("start", package))
    model.on_event(event("fail", package, failed_build=package, elapsed=0.0))


def planned_model():
    """A run of four packages that has been planned."""
    model = RunModel()
    model.on_plan(
        [
            planned("m/a", "TestOne", "TestTwo", "TestThree"),
            planned("m/b", "TestB"),
            planned("m/bad", "TestBad"),
            planned("m/c", "TestLong", "TestLast"),
        ]
    )
    return model


def started_model():
    """The same run, of which a part has ended."""
    model = planned_model()
    model.on_phase("running", 0, 4)
    model.on_event(event("start"))
    for name, outcome in (
        ("TestOne", "pass"),
        ("TestTwo", "fail"),
        ("TestTwo/sub", "fail"),
        ("TestThree", "skip"),
    ):
        model.on_event(event("run", test=name))
        model.on_event(event("output", test=name, output=f"=== RUN   {name}\n"))
        text = f"    a_test.go:7: {name} \x1b[31msays\x1b[0m hello\x07 and goes on for a while\n"
        model.on_event(event("output", test=name, output=text))
        model.on_event(event(outcome, test=name, elapsed=0.25))
    model.on_event(event("fail", elapsed=1.0))
    run_tests(model, "m/b", {"TestB": "pass"}, cached=True)
    fail_build(model)
    model.on_phase("running", 3, 4)
    return model


def finished_model():
    """The same run at its end."""
    model = started_model()
    run_tests(model, "m/c", {"TestLong": "pass", "TestLast": "pass"})
    model.on_end(RunEnd(seconds=3.0))
    return model
