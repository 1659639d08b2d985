"""The end of a run: the final line and the failures."""

from pathlib import Path

import pytest

from envy.console.summary import SyncResult, failure_lines, final_line
from envy.errors import (
    DependencyFailed,
    EnvyError,
    LuaFrame,
    LuaScriptError,
    PhaseFailed,
    ScriptFailed,
    SourceLocation,
)


def failed(key, text="no"):
    return PhaseFailed(key=key, phase="build", cause=EnvyError(text))


def stopped(key, dependency="a.b@r1"):
    return DependencyFailed(key=key, phase="check", dependency=dependency, root=failed("a.b@r1"))


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (
            SyncResult(packages=5, user_managed=1, cached=3, seconds=12.4),
            "sync complete: 5 packages, 1 user-managed, 0 failed (3 cached) in 12.4s",
        ),
        (
            SyncResult(packages=2, user_managed=2, installed=2, unconfirmed=1, seconds=1),
            (
                "sync complete: 2 packages, 2 user-managed (1 unconfirmed), 0 failed "
                "(0 cached, 2 installed) in 1.0s"
            ),
        ),
        (
            SyncResult(packages=1, installed=1, seconds=0.04),
            "sync complete: 1 package, 0 failed (0 cached, 1 installed) in 0.0s",
        ),
        (
            SyncResult(packages=3, failures=[failed("a.b@r1"), stopped("c.d@r1")], seconds=65),
            "sync failed: 3 packages, 1 failed, 1 not built (0 cached) in 1m 05s",
        ),
        (
            SyncResult(packages=2, cached=1, cancelled=True, seconds=1),
            "sync cancelled: 2 packages, 0 failed (1 cached) in 1.0s",
        ),
    ],
)
def test_the_final_line_shows_the_outcome(result, expected):
    """The final line contains the outcome, the counts and the time."""
    assert expected == final_line(result)


def test_root_failures_are_shown_in_full_and_stopped_recipes_in_a_line():
    """A failure is reported once, however many recipes it stopped; all are in key order."""
    root = PhaseFailed(
        key="a.b@r1",
        phase="build",
        cause=EnvyError("script exited 2: make", hint="install make"),
        log_path=Path("/logs/build.log"),
        log_tail=["cc: \x1b[31merror"],
    )
    assert failure_lines(
        [stopped("e.f@r1", "c.d@r1"), failed("x.y@r1", "none"), stopped("c.d@r1"), root]
    ) == [
        "error: a.b@r1: build failed",
        "  script exited 2: make",
        "    hint: install make",
        "  log: /logs/build.log (last line follows)",
        "    cc: \\x1b[31merror",
        "error: x.y@r1: build failed",
        "  none",
        "c.d@r1: not built, because a.b@r1 failed",
        "e.f@r1: not built, because a.b@r1 failed, which c.d@r1 needs",
    ]


def test_output_at_the_end_of_the_log_is_not_shown_twice():
    """If the end of the log is shown, output that the error quotes is not shown again."""
    script = ScriptFailed(command="make", exit_code=2, tail="no rule\nstop")
    cause = LuaScriptError(script.message, frames=[LuaFrame("a.lua", 3)], cause=script)
    failure = PhaseFailed(
        key="a.b@r1", phase="build", cause=cause, log_path=Path("/l"), log_tail=["no rule", "stop"]
    )
    assert failure_lines([failure]) == [
        "error: a.b@r1: build failed",
        "  a.lua:3: script exited 2: make",
        "  log: /l (last 2 lines follow)",
        "    no rule",
        "    stop",
    ]


def test_a_cause_without_a_location_gets_that_of_its_phase():
    """A failure names a location in the recipe even if its cause has none."""
    failure = PhaseFailed(
        key="a.b@r1", phase="build", cause=EnvyError("no"), where=SourceLocation(Path("a.lua"), 7)
    )
    assert failure_lines([failure])[1] == "  a.lua:7: no"


def test_a_shared_reason_is_reported_once():
    """A full disk, or missing consent, is reported once and not once per package."""
    assert failure_lines([failed("a.b@r1", "disk full"), failed("c.d@r1", "disk full")]) == [
        "error: a.b@r1: build failed",
        "  disk full",
        "error: c.d@r1: build failed, as a.b@r1 did",
    ]


def test_a_failure_reported_twice_is_listed_once():
    """The same failure from several waiters is listed once."""
    assert len(failure_lines([failed("a.b@r1"), failed("a.b@r1")])) == 2


def test_a_long_list_of_stopped_recipes_is_collapsed():
    """Of sixty recipes that one failure stopped, ten are listed and the others counted."""
    lines = failure_lines([failed("a.b@r1"), *(stopped(f"c.d{n:02}@r1") for n in range(60))])
    assert lines[-2:] == [
        "c.d09@r1: not built, because a.b@r1 failed",
        "and 50 more packages were not built",
    ]
    assert len(lines) == 2 + 10 + 1


def test_without_failures_there_are_no_lines():
    """A successful run lists nothing."""
    assert failure_lines([]) == []
