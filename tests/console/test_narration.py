"""Which events become remarks, and their wording."""

import pytest

from envy import events
from envy.console.narration import Narrator, Remark
from envy.console.verbosity import Importance
from envy.phase import RecipePhase


@pytest.fixture
def narrator():
    return Narrator()


@pytest.fixture
def narrate(narrator, stamp):
    def narrated(event, ts=None):
        return [
            (remark.importance, remark.text) for remark in narrator.remarks_for(stamp(event, ts))
        ]

    return narrated


def phase_start(phase, key='a.b@r1{v="1"}'):
    return events.PhaseStart(recipe="a.b@r1", key=key, phase=phase)


def complete(outcome, key='a.b@r1{v="1"}'):
    return events.RecipeComplete(recipe="a.b@r1", key=key, outcome=outcome, asset_path="/cache/a.b")


def failure(phase, key="a.b@r1"):
    return events.PhaseFailure(
        recipe="a.b@r1", key=key, phase=phase, error="script exited 2: make\n  cc: no"
    )


def cache_hit():
    return events.CacheHit(recipe="a.b@r1", cache_key="00", asset_path="/c", fast_path=True)


def progress(count, total):
    return events.DownloadProgress(recipe="a.b@r1", url="https://x/y", bytes=count, total=total)


def fetched(count):
    return events.LuaCtxFetchComplete(
        recipe="a.b@r1",
        url="https://x/y",
        destination="/t/y",
        bytes_downloaded=count,
        duration_ms=1500,
    )


def log(level, message, recipe="a.b@r1"):
    return events.LogMessage(recipe=recipe, level=level, message=message)


def test_the_start_of_an_install_is_a_detail(narrate):
    """The first phase after check begins the install; later phases are not reported."""
    assert narrate(phase_start(RecipePhase.CHECK)) == []
    assert narrate(phase_start(RecipePhase.FETCH)) == [
        (Importance.DETAIL, 'installing a.b@r1{v="1"}')
    ]
    assert narrate(phase_start(RecipePhase.BUILD)) == []


def test_an_install_that_lasts_is_reported(narrator, narrate):
    """An install that lasts is reported once, when it is due."""
    narrate(phase_start(RecipePhase.FETCH), 10.0)
    due = narrator.next_due()
    assert narrator.lasting(due - 0.1) == []
    assert narrator.lasting(due) == [Remark(Importance.STEP, 'installing a.b@r1{v="1"}')]
    assert narrator.next_due() is None


@pytest.mark.parametrize("ends", ["installed", "failed", "aborted"])
def test_an_install_that_has_ended_is_not_due(narrator, narrate, ends):
    """However an install ended, nothing is due any more."""
    narrate(phase_start(RecipePhase.FETCH), 10.0)
    key = 'a.b@r1{v="1"}'
    narrate(
        {
            "installed": complete("installed"),
            "failed": failure(RecipePhase.BUILD, key),
            "aborted": events.RecipeAborted(recipe="a.b@r1", key=key, dependency="c.d@r1"),
        }[ends]
    )
    assert narrator.next_due() is None


def test_a_wait_for_another_process_is_reported_if_it_lasts(narrator, narrate):
    """The holder of the lock is reported while the wait lasts, not after the lock is acquired."""
    path = "/cache/locks/a.lock"
    blocked = events.LockBlocked(recipe="a.b@r1", lock_path=path, held_by="process 7 since 10:00")
    text = "waiting a.b@r1: its lock is held by process 7 since 10:00"
    assert narrate(blocked) == [(Importance.DETAIL, text)]
    assert narrator.lasting(narrator.next_due()) == [Remark(Importance.STEP, text)]
    narrate(blocked)
    narrate(events.LockAcquired(recipe="a.b@r1", lock_path=path, wait_ms=10))
    assert narrator.next_due() is None


def test_a_cached_package_is_not_reported_as_an_install(narrate):
    """Phases that skip a cached entry do not report an install."""
    narrate(cache_hit())
    assert narrate(phase_start(RecipePhase.FETCH)) == []


def test_a_hit_of_one_variant_does_not_hide_the_install_of_another(narrate):
    """If one option variant is cached and another is not, the install is reported."""
    narrate(cache_hit())
    narrate(events.CacheMiss(recipe="a.b@r1", cache_key="1", asset_path="/d", reason="no marker"))
    assert narrate(phase_start(RecipePhase.FETCH, "a.b@r1{}")) == [
        (Importance.DETAIL, "installing a.b@r1{}")
    ]


def test_an_installed_package_is_reported_with_its_time(narrate):
    """The time is counted from the report of the install."""
    narrate(phase_start(RecipePhase.FETCH), 10.0)
    assert narrate(complete("installed"), 12.5) == [
        (Importance.NOTE, 'installed a.b@r1{v="1"} (2.5s)')
    ]


def phase_complete(phase, duration_ms, key='a.b@r1{v="1"}'):
    return events.PhaseComplete(recipe="a.b@r1", key=key, phase=phase, duration_ms=duration_ms)


def test_waits_between_phases_are_no_part_of_the_time(narrate):
    """A wait for a slot, or for a dependency, is not work."""
    narrate(phase_start(RecipePhase.FETCH), 10.0)
    narrate(phase_complete(RecipePhase.FETCH, 500), 10.5)
    narrate(phase_start(RecipePhase.STAGE), 70.0)
    narrate(phase_complete(RecipePhase.STAGE, 1000), 75.0)  # a consent took the rest
    assert narrate(complete("installed"), 90.0) == [
        (Importance.NOTE, 'installed a.b@r1{v="1"} (1.5s)')
    ]


def test_a_wait_for_a_lock_is_no_part_of_the_time(narrator, narrate):
    """The time stops while another process holds the lock, and nothing is "installing" then."""
    key = 'a.b@r1{v="1"}'
    lock = {"recipe": "a.b@r1", "key": key, "lock_path": "/l"}
    narrate(phase_start(RecipePhase.INSTALL), 10.0)
    narrate(events.LockBlocked(**lock, held_by="process 7"), 11.0)
    assert [remark.text[:7] for remark in narrator.lasting(50.0)] == ["waiting"]
    narrate(events.LockAcquired(**lock, wait_ms=39_000), 50.0)
    assert narrator.lasting(50.9) == []
    assert [remark.text for remark in narrator.lasting(51.0)] == [f"installing {key}"]
    assert narrate(complete("changed"), 52.0) == [(Importance.NOTE, f"installed {key} (3.0s)")]


def test_an_install_that_waits_for_a_slot_is_not_due(narrator, narrate):
    """The line "installing" is due when the work itself has lasted, not while it waits."""
    narrate(phase_start(RecipePhase.FETCH), 10.0)
    narrate(phase_complete(RecipePhase.FETCH, 1500), 11.5)
    assert (narrator.next_due(), narrator.lasting(100.0)) == (None, [])
    narrate(phase_start(RecipePhase.STAGE), 100.0)
    assert narrator.lasting(100.4) == []
    assert len(narrator.lasting(100.5)) == 1
    narrate(phase_complete(RecipePhase.STAGE, 1000), 101.0)
    narrate(phase_start(RecipePhase.BUILD), 102.0)
    assert narrator.next_due() is None


def test_a_cached_package_is_a_detail(narrate):
    """An installed package is reported only with --verbose."""
    assert narrate(complete("cached", "a.b@r1")) == [
        (Importance.DETAIL, "cached a.b@r1 at /cache/a.b")
    ]


def test_a_download_is_reported_once_with_its_size(narrate):
    """The first progress event reports the size; later ones report nothing."""
    assert narrate(progress(0, 2 << 20)) == [(Importance.STEP, "fetching https://x/y (2.0 MiB)")]
    assert narrate(progress(1 << 20, 2 << 20)) == []
    assert narrate(fetched(2 << 20)) == [
        (Importance.DETAIL, "fetched https://x/y (2.0 MiB in 1.5s)")
    ]


def test_a_download_of_unknown_size_is_reported_without_a_size(narrate):
    """If the server does not send a size, none is shown."""
    assert narrate(progress(10, 0)) == [(Importance.STEP, "fetching https://x/y")]


def test_a_download_without_progress_is_reported_at_its_end(narrate):
    """A transfer that was too short for a progress event is reported with its final size."""
    assert narrate(fetched(100)) == [(Importance.STEP, "fetching https://x/y (100 B)")]


def test_a_warning_names_its_recipe(narrate):
    """A warning names its recipe."""
    assert narrate(log("warn", "no digest")) == [(Importance.WARNING, "warning: a.b@r1: no digest")]


def test_a_message_of_the_manifest_names_no_recipe(narrate):
    """A message without a recipe has no prefix."""
    assert narrate(log("info", "hello", recipe="")) == [(Importance.NOTE, "hello")]


def test_each_line_of_a_message_is_a_remark(narrate):
    """Each line of a message becomes a remark; lines after the first are indented."""
    assert [text for _, text in narrate(log("info", "one\ntwo"))] == ["a.b@r1: one", "  two"]


def test_a_failure_is_reported_with_its_phase_and_time(narrate):
    """A failure shows the first line of its error at once; the rest follows at the end."""
    narrate(phase_start(RecipePhase.FETCH, "a.b@r1"), 10.0)
    assert narrate(failure(RecipePhase.BUILD), 11.5) == [
        (Importance.NOTE, "failed a.b@r1 in build (1.5s): script exited 2: make")
    ]


def test_a_failure_before_any_work_has_no_time(narrate):
    """If a recipe could not be read, no time is reported."""
    assert narrate(failure(RecipePhase.RECIPE_FETCH)) == [
        (Importance.NOTE, "failed a.b@r1 in recipe_fetch: script exited 2: make")
    ]


def test_an_installed_user_managed_package_is_reported(narrate):
    """A change of the machine is reported."""
    assert narrate(complete("changed", "a.b@r1")) == [(Importance.NOTE, "installed a.b@r1")]


def test_output_of_a_child_is_escaped(narrate):
    """Escape sequences that a build prints are shown as text, not executed."""
    event = events.OutputLine(
        recipe="a.b@r1", phase=RecipePhase.BUILD, stream="stdout", text_="10%\r\x1b[2Jdone"
    )
    assert narrate(event) == [(Importance.DETAIL, "a.b@r1 | \\x1b[2Jdone")]


def test_a_silent_phase_is_reported_with_its_process(narrate):
    """A silent phase is reported with its process and its command."""
    event = events.PhaseSilent(
        recipe="a.b@r1", phase=RecipePhase.BUILD, pid=7, command="make", seconds=60
    )
    assert narrate(event) == [(Importance.NOTE, "a.b@r1: build silent for 60 s (pid 7: make)")]


def test_standard_output_is_a_result(narrate):
    """Text that a recipe prints on standard output is a result, not a remark about the run."""
    event = events.StandardOutput(recipe="a.b@r1", message="x=1\ny=2")
    assert narrate(event) == [(Importance.RESULT, "x=1"), (Importance.RESULT, "y=2")]


def test_a_console_without_details_does_not_hear_them(stamp):
    """Lines of output and starts of scripts are not even delivered; work is still waited for."""
    narrator = Narrator(Importance.STEP)
    assert not narrator.heard & {events.OutputLine, events.LuaCtxRunStart}
    assert Narrator().heard - narrator.heard == {events.OutputLine, events.LuaCtxRunStart}
    assert narrator.remarks_for(stamp(phase_start(RecipePhase.BUILD))) == []
    assert narrator.awaits
    narrator.remarks_for(stamp(complete("installed")))
    assert not narrator.awaits
