"""The picture of a run: state from events, lines from state, size and time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envy import events
from envy.console.display import render
from envy.console.progress import DisplayState
from envy.console.styled import STYLES, line_text
from envy.console.text import cell_width
from envy.events import Stamped
from envy.phase import RecipePhase


def start(name, phase=RecipePhase.BUILD, options=""):
    return events.PhaseStart(recipe=name, key=name + options, phase=phase)


def done(name, phase=RecipePhase.BUILD):
    return events.PhaseComplete(recipe=name, key=name, phase=phase, duration_ms=1)


def output(name, text, phase=RecipePhase.BUILD):
    return events.OutputLine(recipe=name, phase=phase, stream="stdout", text_=text)


def progress(name, count, total, url="https://x/y"):
    return events.DownloadProgress(recipe=name, url=url, bytes=count, total=total)


def ran(name, command):
    return events.LuaCtxRunStart(recipe=name, command=command, cwd="/w")


def state_after(*timed_events):
    """Return the state after events that happened at these times."""
    state = DisplayState()
    for seq, (ts, event) in enumerate(timed_events, 1):
        state.apply(Stamped(seq, ts, event))
    return state


def picture(state, now, width=100, **more):
    return [line_text(line) for line in render(state, now, width, **more)]


def test_a_recipe_at_work_is_a_line_with_phase_and_time():
    """Each recipe at work is shown with its key, its phase and the time in that phase."""
    state = state_after((0, start("a.b@r1", options='{v="1"}')))
    assert picture(state, 12) == ["reading recipes · 0:12", '  0:12 build a.b@r1{v="1"}']


def test_a_phase_that_has_just_begun_is_not_shown():
    """A phase that has just begun is not shown, so that short phases do not flicker."""
    assert picture(state_after((0, start("a.b@r1"))), 0.1) == ["reading recipes · 0:00"]


def test_a_completed_phase_leaves_the_picture():
    """Between its phases a recipe is not shown as working."""
    assert len(picture(state_after((0, start("a.b@r1")), (1, done("a.b@r1"))), 2)) == 1


def test_the_next_phase_starts_its_own_clock():
    """The time shown is that of the phase, not of the recipe."""
    state = state_after((0, start("a.b@r1", RecipePhase.STAGE)), (10, start("a.b@r1")))
    assert "0:05" in picture(state, 15)[1]


def test_the_longest_running_recipe_is_first():
    """The lines keep their order while recipes appear and disappear."""
    state = state_after((0, start("z.z@r1")), (1, start("a.a@r1")))
    assert [line.split()[-1] for line in picture(state, 5)[1:]] == ["z.z@r1", "a.a@r1"]


def test_a_download_shows_a_bar_and_its_sizes():
    """With a known total, the bar is filled proportionally; numbers stand before names."""
    state = state_after(
        (0, start("a.b@r1", RecipePhase.FETCH)), (1, progress("a.b@r1", 1 << 20, 2 << 20))
    )
    assert picture(state, 2)[1] == "  0:02 fetch ━━━━━━╌╌╌╌╌╌ 1.0 of 2.0 MiB  a.b@r1  y"


def test_a_batch_of_downloads_is_one_bar():
    """The downloads of one recipe are added up in one bar."""
    state = state_after(
        (0, start("a.b@r1", RecipePhase.FETCH)),
        (1, progress("a.b@r1", 1 << 20, 1 << 20, "https://x/1")),
        (1, progress("a.b@r1", 0, 3 << 20, "https://x/2")),
    )
    assert "1.0 of 4.0 MiB" in picture(state, 2)[1]


def test_a_download_of_unknown_size_shows_the_received_bytes():
    """Without a total, the size received so far is shown and no bar."""
    state = state_after((0, start("a.b@r1", RecipePhase.FETCH)), (1, progress("a.b@r1", 2048, 0)))
    assert picture(state, 2)[1].endswith("fetch 2.0 KiB  a.b@r1  y")


def test_more_bytes_than_announced_fill_the_bar():
    """If a server sends more than it announced, the bar is full and no longer."""
    state = state_after((0, start("a.b@r1", RecipePhase.FETCH)), (1, progress("a.b@r1", 9, 3)))
    assert picture(state, 2)[1].count("━") == 12


def test_the_last_line_of_output_is_shown():
    """A recipe shows the last line of its script's output that is not blank."""
    state = state_after(
        (0, start("a.b@r1")), (1, output("a.b@r1", "[3/9] cc x.c")), (1, output("a.b@r1", "  "))
    )
    assert picture(state, 2)[1].endswith("[3/9] cc x.c")


def test_a_script_replaces_finished_downloads():
    """When a script starts, its command replaces the downloads."""
    state = state_after(
        (0, start("a.b@r1")), (1, progress("a.b@r1", 1, 1)), (2, ran("a.b@r1", "make"))
    )
    assert picture(state, 3)[1].endswith("$ make")


def test_control_characters_of_output_are_spelled_out():
    """Control characters in output are spelled out, so that they cannot move the cursor."""
    state = state_after((0, start("a.b@r1")), (1, output("a.b@r1", "\x1b[2Jgone")))
    assert picture(state, 2)[1].endswith("\\x1b[2Jgone")


def test_outcomes_and_failures_are_counted():
    """The first line counts what needed work and has ended; a cached package needed none."""
    complete = {"recipe": "c.d@r1", "asset_path": "/c"}
    failed = events.PhaseFailure(recipe="a.b@r1", key="a.b@r1", phase=RecipePhase.BUILD, error="no")
    state = state_after(
        (0, events.PackagesWanted(packages=5, missing=4)),
        (0, start("a.b@r1")),
        (1, events.RecipeComplete(key="c.d@r1", outcome="cached", **complete)),
        (1, events.RecipeComplete(key="e.f@r1", outcome="installed", **complete)),
        (2, failed),
        (2, events.RecipeAborted(recipe="g.h@r1", key="g.h@r1", dependency="a.b@r1")),
    )
    assert picture(state, 3) == ["1/4 · 1 waiting · 1 failed · 1 not built · 0:03"]


def test_output_belongs_to_the_variant_in_that_phase():
    """Of two option variants of a recipe, output belongs to the variant whose phase it names."""
    state = state_after(
        (0, start("a.b@r1", options="{v=1}")),
        (0, start("a.b@r1", RecipePhase.FETCH, options="{v=2}")),
        (1, output("a.b@r1", "compiling")),
    )
    assert [a.detail for a in state.activities.values()] == ["compiling", ""]


def test_more_recipes_than_rows_are_counted():
    """The picture takes half of the terminal, and says how many recipes it leaves out."""
    fetch = RecipePhase.FETCH
    state = state_after(
        *((0, start(f"a.n{i:02}@r1", fetch if i % 2 else RecipePhase.BUILD)) for i in range(20))
    )
    lines = picture(state, 1, height=8)
    assert (len(lines), lines[-1]) == (6, "  … and 16 more: 8 build, 8 fetch")


def test_events_about_an_idle_recipe_are_ignored():
    """An event about a recipe that is in no phase is ignored."""
    assert picture(state_after((0, output("a.b@r1", "x"))), 1) == ["reading recipes · 0:01"]


@pytest.mark.parametrize("width", [1, 8, 20, 43, 80, 200])
def test_no_line_is_wider_than_the_terminal(width):
    """A line is clipped to the width, because a wrapped line would break the region."""
    state = state_after(
        (0, start("a.bé宽宽@r1", options='{note="' + "宽" * 90 + '"}')),
        (1, output("a.bé宽宽@r1", "宽" * 300)),
    )
    assert all(cell_width(line) <= width for line in picture(state, 2, width))


@given(
    st.integers(1, 120),
    st.integers(1, 60),
    st.text(max_size=60),
    st.text(max_size=200),
    st.lists(st.tuples(st.integers(0, 1 << 50), st.integers(0, 1 << 50)), max_size=3),
    st.floats(0, 1e6),
)
def test_every_picture_fits_and_is_safe(width, height, options, text, parts, now):
    """For any size, key, output, download and time, lines fit and have no control character."""
    state = state_after(
        (0, events.PackagesWanted(packages=9, missing=7)),
        (0, start("a.b@r1", options=options)),
        (0, output("a.b@r1", text)),
        (0, start("c.d@r1", RecipePhase.FETCH)),
        *((0, progress("c.d@r1", *part, f"https://{text}/{i}")) for i, part in enumerate(parts)),
    )
    lines = render(state, now, width, height)
    assert len(lines) <= max(3, height - 1)
    for line in lines:
        assert cell_width(line_text(line)) <= width
        assert not any(ord(character) < 32 for character in line_text(line))
        assert {span.style for span in line} <= {"", *STYLES}
