"""The terminal view, driven by keys through Textual's Pilot, and the text of its screens."""

import asyncio
import os
import pty
from pathlib import Path

import pytest

textual = pytest.importorskip("textual", reason="the extra envy-tool[tui] is not installed")

from textual.geometry import Region  # noqa: E402
from tui_runs import (  # noqa: E402
    RecordingController,
    event,
    finished_model,
    planned_model,
    started_model,
)

from envy.testing.views.tui.app import TestApp  # noqa: E402
from envy.testing.views.tui.controller import EVERYTHING, RunRequest  # noqa: E402
from envy.testing.views.tui.help import HelpScreen  # noqa: E402
from envy.testing.views.tui.model import RunEnd, RunModel  # noqa: E402
from envy.testing.views.tui.mouse import mouse_sequence  # noqa: E402
from envy.testing.views.tui.terminal import LossyOutput, run_editor  # noqa: E402

SNAPSHOTS = Path(__file__).parent / "snapshots"
SIZES = {"small": (40, 12), "usual": (80, 24), "large": (140, 20)}


def walk(steps, *, model=None, controller=None, size=(80, 24), edit=None):
    """Press the keys of each step; return what each step's function sees, and the app."""
    app = TestApp(
        controller or RecordingController(),
        model=model or finished_model(),
        clock=lambda: 112.0,
        edit=edit,
    )

    async def run():
        seen = []
        async with app.run_test(size=size) as pilot:
            await pilot.pause()
            for keys, look in steps:
                for key in keys:
                    await pilot.press(key)
                await app.workers.wait_for_complete()
                await pilot.pause()
                seen.append(look(app))
        return seen

    return asyncio.run(run()), app


def see(keys, look, **more):
    """Press keys; return what the function sees."""
    (seen,), _ = walk([(keys, look)], **more)
    return seen


def label(app):
    node = app.test_tree.current()
    return node.test or node.package


def labels(app):
    return [row.label for row in app.test_tree.rows]


def screen_text(app):
    """Return what is on the screen, without colours."""
    width, height = app.size
    cells = [[" "] * width for _ in range(height)]
    for widget in app.screen.walk_children():
        if widget.children or not widget.display:
            continue
        region = widget.region
        strips = widget.render_lines(Region(0, 0, region.width, region.height))
        for y, strip in enumerate(strips, region.y):
            if y < height:
                cells[y][region.x : region.right] = strip.text[: region.width]
    return "\n".join("".join(row).rstrip() for row in cells) + "\n"


def point(actions, *, model=None, size=(80, 24), environment=None):
    """Use the mouse; return what is seen after each action, a coroutine that is given the pilot."""
    app = TestApp(RecordingController(environment=environment), model=model or finished_model())

    async def run():
        seen = []
        async with app.run_test(size=size) as pilot:
            await pilot.pause()
            for act, look in actions:
                await act(pilot)
                await pilot.pause()
                seen.append(look(app))
        return seen

    return asyncio.run(run()), app


def click(widget, x, y, times=1):
    return lambda pilot: pilot.click(widget, offset=(x, y), times=times)


def roll(name, by, *, shift=False):
    """Turn the wheel above a widget, by notches."""

    async def act(pilot):
        widget = pilot.app.query_one(name)
        kind = textual.events.MouseScrollDown if by > 0 else textual.events.MouseScrollUp
        for _ in range(abs(by)):
            widget.post_message(kind(widget, 1, 1, 0, 0, 0, shift, False, False))

    return act


def test_a_click_selects_and_folds():
    """A click moves the cursor; on the sign of a fold it folds; a double click opens the log."""
    seen, _ = point(
        [
            (click("#tree", 12, 1), label),
            (click("#tree", 12, 20), label),  # below the last row
            (click("#tree", 0, 0), lambda app: (label(app), "TestOne" in labels(app))),
            (click("#tree", 0, 0), lambda app: (label(app), "TestOne" in labels(app))),
            (click("#tree", 2, 2), lambda app: (label(app), "sub" in labels(app))),
            (click("#tree", 12, 1, times=2), lambda app: (app.in_log, app.log_view.node.test)),
        ]
    )
    assert seen == [
        "TestOne", "TestOne", ("m/a", False), ("m/a", True), ("TestTwo", True), (True, "TestOne"),
    ]  # fmt: skip


def test_clicks_go_to_the_part_that_they_are_in():
    """With both parts on the screen, a click goes to the log, and one in the tree leaves it."""
    seen, _ = point(
        [
            (click("#tree", 12, 1), lambda app: (app.in_log, app.log_view.node.test)),
            (click("#log", 5, 1), lambda app: (app.in_log, app.log_view.has_focus)),
            (click("#log", 5, 0), lambda app: app.log_view.cursor),
            (click("#tree", 12, 2), lambda app: (app.in_log, app.test_tree.has_focus, label(app))),
        ],
        size=(140, 20),
    )
    assert seen == [(False, "TestOne"), (True, True), 0, (False, True, "TestTwo")]


def long_model():
    model = RunModel()
    names = [f"Test{n:02}" for n in range(40)]
    model.on_event(event("start"))
    for name in names:
        model.on_event(event("run", test=name))
        model.on_event(event("output", test=name, output=f"{name} {'x' * 200} end\n"))
        model.on_event(event("pass", test=name, elapsed=0.25))
    model.on_event(event("pass", elapsed=1.0))
    model.packages["m/a"].expanded = True
    model.on_end(RunEnd(seconds=3.0))
    return model


def test_the_wheel_scrolls_and_the_cursor_stays_on_the_screen():
    """The wheel ends at both ends; with Shift it scrolls a log sideways, and a tree not at all."""

    def place(app):
        return app.test_tree.scroll_offset.y, app.test_tree.cursor

    seen, _ = point(
        [
            (roll("#tree", 1), place),
            (roll("#tree", 2), place),
            (roll("#tree", 9), place),
            (roll("#tree", -1), place),
            (roll("#tree", -9), place),
            (roll("#tree", 3, shift=True), place),
            (lambda pilot: pilot.press("enter"), lambda app: app.in_log),
            (roll("#log", 2, shift=True), lambda app: app.log_view.left),
            (roll("#log", -5, shift=True), lambda app: app.log_view.left),
        ],
        model=long_model(),
    )
    # Of 41 rows, 21 are on the screen.
    assert seen == [(3, 3), (9, 9), (20, 20), (17, 20), (0, 20), (0, 20), True, 16, 0]


def test_the_mouse_can_be_left_to_the_terminal():
    """`m` gives it away and takes it back; a variable gives it away from the start."""
    assert mouse_sequence(on=False) == "\x1b[?1000l\x1b[?1003l\x1b[?1015l\x1b[?1006l"
    assert mouse_sequence(on=True) == "\x1b[?1000h\x1b[?1003h\x1b[?1015h\x1b[?1006h"
    for value, at_start in (("0", False), ("", True), ("1", True)):
        seen, _ = point(
            [
                (lambda pilot: pilot.press("m"), lambda app: (app.mouse, app.said)),
                (lambda pilot: pilot.press("m"), lambda app: (app.mouse, app.said)),
            ],
            environment={"ENVY_TEST_MOUSE": value},
        )
        both = [(False, "the mouse selects text; m ends it"), (True, "the mouse selects rows")]
        assert seen == (both if at_start else both[::-1])


def test_keys_move_in_the_tree():
    """Each movement key does what the help page says; n and N step through failures."""
    steps = [
        ([], "m/a"),
        (["down"], "TestOne"),
        (["j", "k"], "TestOne"),
        (["left"], "m/a"),
        (["end"], "m/c"),
        (["home"], "m/a"),
        (["pagedown"], "m/c"),
        (["pageup"], "m/a"),
        (["n"], "TestTwo/sub"),
        (["n"], "m/bad"),
        (["n"], "TestTwo/sub"),
        (["N"], "m/bad"),
        (["home", "b"], "m/bad"),
        (["home", "down", "down", "right", "down"], "TestTwo/sub"),
        (["h"], "TestTwo"),
        (["left", "down"], "TestThree"),
        (["up", "l", "down"], "TestTwo/sub"),
        (["G"], "m/c"),
        (["g"], "m/a"),
    ]
    seen, _ = walk([(keys, label) for keys, _ in steps])
    assert seen == [at for _, at in steps]


def test_failures_are_unfolded_and_left_folds():
    """A package with a failure shows its tests; ← on an unfolded package folds it."""
    seen, _ = walk([([], labels), (["left"], labels)])
    assert seen[0] == [
        "m/a",
        "TestOne",
        "TestTwo",
        "TestThree",
        "m/b",
        "m/bad",
        "bad.go:3: undefined: x",
        "m/c",
    ]
    assert seen[1][:2] == ["m/a", "m/b"]


def test_keys_ask_for_runs():
    """r, f, t and W ask the controller; s does nothing without a run."""
    controller = RecordingController()
    keys = ["r", "f", "t", "n", "t", "left", "t", "s", "W", "W"]
    walk([(keys, label)], controller=controller)
    assert controller.asked == [
        EVERYTHING,
        RunRequest(tests={"m/a": ("TestTwo",), "m/bad": ()}),
        RunRequest(tests={"m/a": ()}),
        RunRequest(tests={"m/a": ("TestTwo",)}, subtest="TestTwo/sub"),
        RunRequest(tests={"m/a": ("TestTwo",)}),
        ("watch", True),
        ("watch", False),
    ]


def test_s_stops_a_run_and_nothing_starts_meanwhile():
    """During a run, s stops it, and r says why it does nothing."""
    controller = RecordingController(running=True)
    seen, _ = walk([(["r"], lambda app: app.said), (["s"], lambda app: app.said)],
                   controller=controller)  # fmt: skip
    assert seen == ["not now: a run is active; s stops it", "stopping"]
    assert controller.asked == ["stop"]


def test_watching_that_is_not_possible_says_why():
    """W without the program that watches shows the reason, and the header does not claim it."""
    controller = RecordingController(why_not="it needs watchfiles")
    said = see(["W"], lambda app: (app.said, app.watching), controller=controller)
    assert said == ("cannot watch: it needs watchfiles", False)


@pytest.mark.parametrize(("running", "code"), [(False, None), (True, 130)])
@pytest.mark.parametrize("key", ["q", "ctrl+c"])
def test_q_leaves(key, running, code):
    """q and Ctrl-C leave, and stop a running session."""
    app = TestApp(RecordingController(running=running), model=finished_model())

    async def run():
        async with app.run_test() as pilot:
            await pilot.press(key)

    asyncio.run(run())
    assert app.return_value == code


def test_the_log_of_a_test():
    """Enter shows it with colours and without framing; w as it came; Esc goes back."""

    def looks(app):
        return [
            (segment.text, segment.style.color.name if segment.style else "")
            for segment in app.log_view.segments(0)
        ]

    def panes(app):
        return (app.test_tree.display, app.log_view.display, app.log_view.has_focus)

    seen, _ = walk(
        [
            (["down", "down", "enter"], lambda app: app.log_view.texts()),
            ([], looks),
            (["w"], lambda app: app.log_view.texts()[:2]),
            (["w", "n"], lambda app: (label(app), len(app.log_view.lines))),
            ([], panes),
            (["escape"], panes),
        ]
    )
    assert seen[0] == [
        "    a_test.go:7: TestTwo says hello\\x07 and goes on for a while",
        "    a_test.go:7: TestTwo/sub says hello\\x07 and goes on for a while",
    ]
    assert seen[1][1] == ("says", "color(1)")
    assert seen[2][0] == "=== RUN   TestTwo"
    assert "\\x1b[31msays\\x1b[0m" in seen[2][1]
    assert seen[3] == ("TestTwo/sub", 1)
    assert seen[4:] == [(False, True, True), (True, False, False)]


def test_long_lines_scroll_sideways_or_wrap():
    """→ and ← show the rest of long lines; z wraps them, and keys go on moving by lines."""

    def first_rows(app):
        return [app.log_view.render_line(y).text.rstrip() for y in range(3)]

    seen, _ = walk(
        [
            (["enter"], first_rows),
            (["right"], first_rows),
            (["left", "left"], first_rows),
            (["z"], first_rows),
            (["end"], lambda app: app.log_view.cursor),
            (["up", "pageup", "right"], lambda app: (app.log_view.cursor, app.log_view.left)),
            (["z"], first_rows),
        ],
        size=(40, 12),
    )
    assert seen[0][0] == "    a_test.go:7: TestOne says hello\\x07 a"[:40].rstrip()
    assert seen[1][0].startswith("st.go:7: TestOne says")
    assert seen[2] == seen[0]
    assert (
        " ".join(seen[3][:2]) == "    a_test.go:7: TestOne says hello\\x07 and goes on for a while"
    )
    assert seen[4] == 3
    assert seen[5] == (0, 0)
    assert seen[6] == seen[0]


def test_search_goes_from_match_to_match():
    """/ searches in a log; n moves to the next match, N to the previous one."""

    def cursor(app):
        return app.log_view.cursor

    seen, _ = walk(
        [
            (["enter", "slash", *"SAYS", "enter"], cursor),
            (["n"], cursor),
            (["N"], cursor),
            (["slash", *"none", "enter"], lambda app: app.said),
            (["n"], lambda app: app.said),
        ]
    )
    assert seen == [0, 1, 0, "not found: none", "no match"]


def test_filters_restrict_the_tree():
    """/ filters while a name is typed, F shows only failures, and Esc ends both."""
    seen, _ = walk(
        [
            (["slash", *"LONG"], labels),
            (["enter"], lambda app: (labels(app), app.said)),
            (["n"], label),
            (["escape", "F"], labels),
            (["home", "slash", *"sub", "enter"], labels),
            (["slash", "x", "escape"], labels),
            (["escape"], lambda app: len(labels(app))),
        ]
    )
    assert seen[0] == ["m/c", "TestLong"]
    assert seen[1] == (["m/c", "TestLong"], "only LONG; Esc shows everything")
    assert seen[2] == "TestTwo/sub"  # which the filter hid
    assert seen[3] == ["m/a", "TestTwo", "sub", "m/bad", "bad.go:3: undefined: x"]
    assert seen[4] == ["m/a", "TestTwo", "sub"]
    assert seen[5] == seen[3]
    assert seen[6] == 9


def test_c_copies_the_log():
    """c says how much it sent to the terminal, from the tree and from a log."""
    seen, _ = walk([(["n", "c"], lambda app: app.said), (["enter", "c"], lambda app: app.said)])
    assert seen == ["sent 1 line to the terminal's clipboard"] * 2


def test_o_opens_the_place_that_the_log_names(tmp_path):
    """The package's file, in the editor of the environment; what is missing is said."""
    asked = []

    def edit(words):
        asked.append(words)
        return ""

    model = finished_model()
    model.folders["m/a"] = str(tmp_path)
    controller = RecordingController()
    steps = [(["n", "o"], lambda app: app.said)]
    assert walk(steps, model=model, controller=controller)[0] == [
        "the log names no file that is here"
    ]
    file = tmp_path / "a_test.go"
    file.write_text("")
    said = see(["n", "o"], lambda app: app.said, model=model, controller=controller)
    assert said == f"{file}:7; set EDITOR to open it"
    controller.environment = {"EDITOR": "nano", "VISUAL": "nvim -R 'two words'"}
    see(["enter", "o"], lambda app: app.said, model=model, controller=controller, edit=edit)
    assert asked == [["nvim", "-R", "two words", "+7", str(file)]]
    controller.environment = {"EDITOR": "vi 'x"}
    said = see(["n", "o"], lambda app: app.said, model=model, controller=controller)
    assert said == "EDITOR cannot be read: No closing quotation"


def test_an_editor_that_fails_is_reported(tmp_path):
    """A program that is missing or fails is named; one that ends well is not."""
    failing = tmp_path / "failing"
    failing.write_text("#!/bin/sh\nexit 3\n")
    failing.chmod(0o755)
    assert run_editor([str(failing)], {}) == f"{failing} ended with code 3"
    assert run_editor([str(tmp_path / "none")], {}) == (
        f"cannot run {tmp_path}/none: No such file or directory"
    )
    assert run_editor(["/bin/sh", "-c", ":"], {}) == ""


def test_help_opens_and_closes_and_the_run_goes_on():
    """? shows the keys over a run whose events still arrive; Esc, q and ? close the page."""

    def is_open(app):
        return isinstance(app.screen, HelpScreen)

    def feed(app):
        app.messages.append(lambda model: model.on_event(event("start", "m/new")))
        app.take_messages()
        return "m/new" in app.model.packages

    seen, _ = walk(
        [
            (["question_mark"], is_open),
            ([], feed),
            (["escape"], is_open),
            (["question_mark", "q"], is_open),
            (["question_mark", "question_mark"], is_open),
        ]
    )
    assert seen == [True, True, False, False, False]


def test_the_log_is_beside_the_tree_on_a_wide_terminal():
    """It follows the cursor; a narrow terminal shows one of the two."""

    def panes(app):
        return (app.test_tree.display, app.log_view.display, app.log_view.texts()[:1])

    seen, _ = walk([(["n"], panes), (["N"], panes)], size=(140, 20))
    assert seen[0] == (
        True,
        True,
        ["    a_test.go:7: TestTwo/sub says hello\\x07 and goes on for a while"],
    )
    assert seen[1] == (True, True, ["bad.go:3: undefined: x"])


def test_a_terminal_may_become_tiny():
    """At 20 by 5 keys still work, and the header, the cursor's row and the log stay visible."""
    app = TestApp(RecordingController(), model=finished_model())

    async def run():
        async with app.run_test(size=(140, 20)) as pilot:
            await pilot.press("n")
            await pilot.resize_terminal(20, 5)
            await pilot.pause()
            tree = screen_text(app)
            await pilot.press("enter", "z", "question_mark", "escape")
            await pilot.pause()
            log = screen_text(app)
            await pilot.resize_terminal(1, 1)
            await pilot.press("escape", "end", "slash", "x", "escape")
            await pilot.pause()
            await pilot.resize_terminal(140, 20)
            await pilot.pause()
            return tree, log, screen_text(app)

    tree, log, large = asyncio.run(run())
    assert "failed" in tree
    assert "✗ sub" in tree
    assert "TestTwo/sub" in log.replace("\n", "")
    assert "m/c" in large


@pytest.mark.parametrize("refused", [True, False])
def test_no_color_is_respected(monkeypatch, refused):
    """With NO_COLOR nothing is coloured, tests' own colours included; states have signs."""
    if refused:
        monkeypatch.setenv("NO_COLOR", "1")
    else:
        monkeypatch.delenv("NO_COLOR", raising=False)

    def colours(app):
        found = set()
        for widget in (app.test_tree, app.log_view):
            for strip in widget.render_lines(Region(0, 0, widget.size.width, widget.size.height)):
                for segment in strip:
                    if segment.style is not None and segment.style.color is not None:
                        red, green, blue = segment.style.color.get_truecolor()
                        found.add(len({red, green, blue}) > 1)
        return True in found

    assert see(["n"], colours, size=(140, 20)) is not refused


def test_a_large_log_that_grows_leaves_time_for_keys():
    """It is shown again when it is due, at once if it is another one, and whole at the end."""

    def grow(app):
        log, seen = app.log_view, [len(app.log_view.lines)]
        log._due = float("inf")  # as after an update that took long
        app.messages.append(
            lambda model: model.on_event(event("output", "m/a", "TestTwo/sub", output="more\n"))
        )
        app.take_messages()
        seen.append(len(log.lines))
        log._due = 0.0
        app.take_messages()
        seen.append(len(log.lines))
        log._due = float("inf")
        app.action_next(1)
        return [*seen, log.texts()[0]]

    few, same, more, other = see(["n"], grow, size=(140, 20))
    assert (same, more) == (few, few + 1)
    assert other == "bad.go:3: undefined: x"


def test_messages_of_a_session_are_applied():
    """Messages from another thread are applied in their order."""

    def feed(app):
        app.messages.append(lambda model: model.begin(everything=True))
        app.messages.append(lambda model: model.on_event(event("start", "m/new")))
        app.messages.append(lambda model: model.on_end(RunEnd()))
        app.take_messages()
        return labels(app)

    assert see([], feed) == ["m/new"]


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


def building():
    model = planned_model()
    model.on_phase("building", 1, 4)
    model.on_build(["m/b", "m/c"], starts=True)
    return model


def running():
    model = started_model()
    model.on_event(event("start", "m/c"))
    model.on_event(event("run", "m/c", "TestLong"))
    return model


def stopped():
    model = running()
    model.on_end(RunEnd(seconds=12.0, stopped=True))
    return model


STATES = {
    "discovering": (RunModel, []),
    "building": (building, []),
    "running": (running, []),
    "stopped": (stopped, []),
    "failed": (finished_model, ["n"]),
    "filtered": (finished_model, ["F", "slash", "T", "w"]),
    "log": (finished_model, ["enter", "slash", "h", "e", "enter"]),
    "help": (finished_model, ["question_mark"]),
}


@pytest.mark.parametrize("state", STATES)
def test_the_screen_is_unchanged(state):
    """Each state at each size has the reviewed text."""
    make, keys = STATES[state]
    app = TestApp(RecordingController(), model=make(), clock=lambda: 112.0)
    file = SNAPSHOTS / f"{state}.txt"
    expected = file.read_text(encoding="utf-8") if file.exists() else ""

    async def run():
        texts = []
        async with app.run_test(size=SIZES["usual"]) as pilot:
            await pilot.press(*keys)
            for name, size in SIZES.items():
                await pilot.resize_terminal(*size)
                head = f"{name} {size[0]}x{size[1]}\n{'─' * size[0]}\n"
                for _ in range(100):  # on a busy machine, a screen is drawn later
                    await pilot.pause()
                    text = f"{head}{screen_text(app)}"
                    if text in expected:
                        break
                    await asyncio.sleep(0.02)
                texts.append(text)
        return "".join(texts)

    text = asyncio.run(run())
    if os.environ.get("ENVY_WRITE_SNAPSHOTS"):
        file.parent.mkdir(exist_ok=True)
        file.write_text(text, encoding="utf-8")
        return
    assert text == expected
