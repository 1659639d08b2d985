"""The terminal view, driven by keys through Textual's Pilot, and its screenshots."""

import asyncio
import os
import pty
import re
from pathlib import Path

import pytest

from envy.testing.events import StreamEvent

textual = pytest.importorskip("textual", reason="the extra envy-tool[tui] is not installed")

from envy.testing.views.tui.app import HelpScreen, TestApp  # noqa: E402
from envy.testing.views.tui.model import RunModel  # noqa: E402
from envy.testing.views.tui.terminal import LossyOutput  # noqa: E402

SNAPSHOTS = Path(__file__).parent / "snapshots"
SIZES = {"small": (40, 12), "usual": (80, 24), "large": (120, 40)}
MADE_WITH = "8.2.8"


class FakeController:
    """Records the requested runs."""

    def __init__(self, *, running=False):
        self.asked = []
        self.running = running

    def start(self, **request):
        self.asked.append(request)
        return not self.running

    def stop(self):
        self.asked.append("stop")
        self.running = False

    def is_running(self):
        return self.running


def event(action, package="m/a", test="", **more):
    return StreamEvent(action=action, package=package, test=test, time=100.0, **more)


def finished_model():
    """Two packages with tests that pass, fail and are skipped, and one that failed to build."""
    model = RunModel()
    model.on_phase("running", 0, 3)
    model.on_event(
        StreamEvent(action="build-output", import_path="m/bad", output="bad.go:3: undefined: x\n")
    )
    model.on_event(StreamEvent(action="build-fail", import_path="m/bad"))
    for name, outcome in (
        ("TestOne", "pass"),
        ("TestTwo", "fail"),
        ("TestTwo/sub", "fail"),
        ("TestThree", "skip"),
    ):
        model.on_event(event("run", test=name))
        model.on_event(event("output", test=name, output=f"=== RUN   {name}\n"))
        model.on_event(event("output", test=name, output=f"    {name} says\x1b[31m hello\n"))
        model.on_event(event(outcome, test=name, elapsed=0.25))
    model.on_event(event("fail", elapsed=1.0))
    model.on_event(event("start", "m/b"))
    model.on_event(event("run", "m/b", "TestB"))
    model.on_event(event("pass", "m/b", "TestB", elapsed=0.0))
    model.on_event(event("pass", "m/b", elapsed=0.5))
    model.on_event(event("start", "m/bad"))
    model.on_event(event("fail", "m/bad", failed_build="m/bad", elapsed=0.0))
    model.on_end("2 passed, 2 failed", 3.0)
    return model


def drive(keys, *, model=None, controller=None, size=(80, 24), then=None):
    """Press keys; return the app and the result of `then`."""
    app = TestApp(
        controller or FakeController(), model=model or finished_model(), clock=lambda: 112.0
    )

    async def run():
        async with app.run_test(size=size) as pilot:
            await pilot.pause()
            for key in keys:
                await pilot.press(key)
            await pilot.pause()
            return then(app) if then else None

    return app, asyncio.run(run())


def labels(app):
    return [row.label for row in app.test_tree.rows]


def test_failures_are_unfolded_and_the_rest_is_not():
    """A package with a failure shows its tests; a package that passed is one row."""
    _, rows = drive([], then=labels)
    assert rows == [
        "m/a",
        "TestOne",
        "TestTwo",
        "TestThree",
        "m/b",
        "m/bad",
        "bad.go:3: undefined: x",
    ]


@pytest.mark.parametrize(
    ("keys", "at"),
    [
        (["down"], "TestOne"),
        (["j", "j", "k"], "TestOne"),
        (["end"], "bad.go:3: undefined: x"),
        (["end", "home"], "m/a"),
        (["pagedown"], "bad.go:3: undefined: x"),
        (["pagedown", "pageup"], "m/a"),
        (["down", "left"], "m/a"),
        (["n"], "TestTwo"),
        (["n", "n"], "m/bad"),
        (["N"], "m/bad"),
        (["b"], "m/bad"),
        (["down", "down", "right", "down"], "sub"),
        (["down", "down", "l", "down"], "sub"),
        (["down", "h"], "m/a"),
        (["down", "down", "up"], "TestOne"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, list) else "",
)
def test_keys_move_the_cursor(keys, at):
    """Each movement key does what the help page says."""
    _, label = drive(keys, then=lambda app: app.test_tree.current().label)
    assert label == at


def test_left_folds():
    """← on an unfolded package folds it."""
    _, rows = drive(["left"], then=labels)
    assert rows[:2] == ["m/a", "m/b"]


@pytest.mark.parametrize(
    ("keys", "asked"),
    [
        (["r"], [{}]),
        (["f"], [{"failed": True}]),
        (["t"], [{"package": "m/a", "test": ""}]),
        (["n", "t"], [{"package": "m/a", "test": "TestTwo"}]),
        (["s"], []),
    ],
    ids=["all", "failed", "package", "test", "stop"],
)
def test_keys_ask_for_runs(keys, asked):
    """r, f and t start runs; s does nothing without a run."""
    controller = FakeController()
    drive(keys, controller=controller)
    assert controller.asked == asked


def run_of_p(model, *, built):
    """Apply one run of a package that builds, or fails to build."""
    model.begin()
    if not built:
        model.on_event(StreamEvent(action="build-output", import_path="m/p", output="p.go:1: no\n"))
        model.on_event(StreamEvent(action="build-fail", import_path="m/p"))
    model.on_event(event("start", "m/p"))
    if built:
        model.on_event(event("run", "m/p", "TestP"))
        model.on_event(event("pass", "m/p", "TestP", elapsed=0.0))
    ended = {"failed_build": ""} if built else {"failed_build": "m/p"}
    model.on_event(event("pass" if built else "fail", "m/p", elapsed=0.0, **ended))


def test_a_package_can_break_and_be_fixed_between_runs():
    """Each run shows its own compiler errors once, and fixed tests come back."""
    model = RunModel()
    run_of_p(model, built=True)
    run_of_p(model, built=False)
    run_of_p(model, built=False)
    assert [row.label for row in model.rows()] == ["m/p", "p.go:1: no"]
    assert (model.counts["pass"], model.unbuilt) == (0, 1)
    run_of_p(model, built=True)
    assert [row.label for row in model.rows()] == ["m/p", "TestP"]
    assert (model.counts["pass"], model.unbuilt) == (1, 0)


def test_s_stops_a_run():
    """s stops the run."""
    controller = FakeController(running=True)
    drive(["s"], controller=controller)
    assert controller.asked == ["stop"]


@pytest.mark.parametrize(("running", "code"), [(False, None), (True, 130)])
@pytest.mark.parametrize("key", ["q", "ctrl+c"])
def test_q_leaves(key, running, code):
    """q and Ctrl-C leave, and stop a running session."""
    app, _ = drive([key], controller=FakeController(running=running))
    assert app.return_value == code


def test_enter_shows_the_log_and_escape_the_tree():
    """The log of a test has its output and that of its subtests, without framing or escapes."""
    _, lines = drive(["n", "enter"], then=lambda app: app.log_view.lines)
    assert lines == ["    TestTwo says\\x1b[31m hello", "    TestTwo/sub says\\x1b[31m hello"]
    _, shown = drive(
        ["enter", "escape"], then=lambda app: (app.test_tree.display, app.log_view.display)
    )
    assert shown == (True, False)


def test_w_shows_the_raw_log():
    """w adds the framing."""
    _, lines = drive(["n", "enter", "w"], then=lambda app: app.log_view.lines)
    assert lines[0] == "=== RUN   TestTwo"


def test_search_goes_from_match_to_match():
    """/ searches; n moves to the next match, N to the previous one."""
    keys = ["enter", "slash", *"says", "enter"]
    _, first = drive(keys, then=lambda app: app.log_view.cursor)
    _, second = drive([*keys, "n"], then=lambda app: app.log_view.cursor)
    _, back = drive([*keys, "n", "N"], then=lambda app: app.log_view.cursor)
    assert (first, second, back) == (0, 1, 0)


def test_c_copies_the_log():
    """c copies the log to the clipboard."""
    _, text = drive(["n", "enter", "c"], then=lambda app: app.clipboard)
    assert "TestTwo says" in text


def test_help_opens_and_closes():
    """? shows the keys, and Esc closes the page."""
    _, inside = drive(["question_mark"], then=lambda app: isinstance(app.screen, HelpScreen))
    assert inside
    for key in ("escape", "q", "question_mark"):
        _, outside = drive(
            ["question_mark", key], then=lambda app: isinstance(app.screen, HelpScreen)
        )
        assert not outside


@pytest.mark.parametrize(
    ("keys", "at"),
    [
        (["down"], 1),
        (["j", "j", "k"], 1),
        (["j", "j", "up"], 1),
        (["end"], 3),
        (["pagedown"], 3),
        (["end", "pageup"], 0),
        (["end", "home"], 0),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, list) else "",
)
def test_keys_move_in_a_log(keys, at):
    """The movement keys are those of the tree."""
    _, cursor = drive(["enter", *keys], then=lambda app: app.log_view.cursor)
    assert cursor == at


def test_messages_of_a_session_are_applied():
    """Messages from another thread are applied in their order."""

    def feed(app):
        app.messages.append(lambda model: model.clear())
        app.messages.append(lambda model: model.on_event(event("start", "m/new")))
        app.take_messages()
        return labels(app)

    _, rows = drive([], then=feed)
    assert rows == ["m/new"]


def test_output_to_a_closed_terminal_is_dropped():
    """Writing after the terminal was closed raises nothing, and other attributes are passed on."""
    primary, secondary = pty.openpty()
    stream = os.fdopen(secondary, "w", encoding="utf-8")
    os.close(primary)
    output = LossyOutput(stream)
    for _ in range(100):
        output.write("text")
        output.flush()
    assert output.fileno() == secondary
    with pytest.raises(OSError, match="Input/output error"):
        stream.close()


def building(done=3):
    model = RunModel()
    model.on_phase("building", done, 8)
    return model


def running():
    model = finished_model()
    model.on_phase("running", 2, 9)
    model.on_event(event("start", "m/c"))
    model.on_event(event("run", "m/c", "TestLong"))
    return model


STATES = {
    "discovering": (RunModel, []),
    "building": (building, []),
    "running": (running, []),
    "done": (finished_model, []),
    "failure": (finished_model, ["n"]),
    "log": (finished_model, ["enter"]),
    "search": (finished_model, ["enter", "slash", *"hello", "enter"]),
    "help": (finished_model, ["question_mark"]),
}


@pytest.mark.skipif(
    textual.__version__ != MADE_WITH, reason=f"the screenshots are for Textual {MADE_WITH}"
)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("state", STATES)
def test_the_screenshot_is_unchanged(state, size):
    """Each state at each size looks like the reviewed screenshot."""
    make, keys = STATES[state]
    _, picture = drive(
        keys, model=make(), size=SIZES[size], then=lambda app: app.export_screenshot()
    )
    picture = re.sub(r"terminal-\d+", "terminal", picture)
    file = SNAPSHOTS / f"{state}-{size}.svg"
    if os.environ.get("ENVY_WRITE_SNAPSHOTS"):
        file.parent.mkdir(exist_ok=True)
        file.write_text(picture)
    assert picture == file.read_text()
