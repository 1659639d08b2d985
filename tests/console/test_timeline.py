"""The timeline: valid JSON at any moment, in the trace event format."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envy import events as ev
from envy.console.timeline import Timeline
from envy.errors import UsageError
from envy.phase import RecipePhase

A, B = "local.a@r1", 'local.a@r1{x="1"}'  # two variants of one identity


class Clock:
    """A clock that advances on request."""

    now = 100.0

    def __call__(self):
        return self.now


def about(kind, key=A, **fields):
    names = {"recipe": "local.a@r1", "key": key}
    return kind(**names, **fields)


def acquired(key=A, pool="work", wait_ms=0):
    return about(ev.SlotAcquired, key, pool=pool, wait_ms=wait_ms)


def released(key=A, pool="work"):
    return about(ev.SlotReleased, key, pool=pool, hold_ms=0)


def started(key=A, phase=RecipePhase.INSTALL):
    return about(ev.PhaseStart, key, phase=phase)


def completed(key=A, phase=RecipePhase.INSTALL):
    return about(ev.PhaseComplete, key, phase=phase, duration_ms=0)


def failed(key=A, phase=RecipePhase.INSTALL):
    return about(ev.PhaseFailure, key, phase=phase, error="no")


def script(key=A, command="make"):
    return about(ev.LuaCtxRunStart, key, command=command, cwd="/w")


def script_done(key=A, command="make", exit_code=0):
    return about(
        ev.LuaCtxRunComplete, key, command=command, cwd="/w", exit_code=exit_code, duration_ms=0
    )


class Run:
    """A timeline in a file, fed with events a tenth of a second apart."""

    def __init__(self, folder, streams, stamp):
        self.path = folder / "timeline.json"
        self.clock = Clock()
        self.stamp = stamp
        self.timeline = Timeline(self.path, errors=streams.errors, clock=self.clock)

    def emit(self, *received):
        for event in received:
            self.clock.now += 0.1
            self.timeline.on_event(self.stamp(event))

    def rows(self):
        return check(json.loads(self.path.read_text()))

    def spans(self):
        return [row for row in self.rows() if row["ph"] == "X"]

    def names(self, sort):
        """Return the names of rows ("thread") or groups ("process")."""
        found = {
            (row["pid"], row["tid"] if sort == "thread" else 0): row["args"]["name"]
            for row in self.rows()
            if row["name"] == f"{sort}_name"
        }
        return list(found.values())


def check(document):
    """Assert that a document follows the description of the format."""
    assert set(document) == {"displayTimeUnit", "traceEvents"}
    assert document["displayTimeUnit"] in {"ms", "ns"}
    rows = document["traceEvents"]
    described = set()
    for row in rows:
        assert row["ph"] in {"X", "M"}
        assert isinstance(row["name"], str)
        assert row["name"]
        assert all(type(row[number]) is int for number in ("pid", "tid", "ts"))
        assert row["ts"] >= 0
        assert isinstance(row["args"], dict)
        if row["ph"] == "M":
            described.add((row["name"], row["pid"], row["tid"]))
            continue
        assert isinstance(row["cat"], str)
        assert type(row["dur"]) is int
        assert row["dur"] >= 0
        assert ("thread_name", row["pid"], row["tid"]) in described
        assert ("process_name", row["pid"], 0) in described
    check_nesting([row for row in rows if row["ph"] == "X"])
    return rows


def check_nesting(spans):
    """Assert that the spans of each row are nested or disjoint."""
    by_row = {}
    for span in spans:
        by_row.setdefault((span["pid"], span["tid"]), []).append(span)
    for row in by_row.values():
        open_until = []
        for span in sorted(row, key=lambda one: (one["ts"], -one["dur"])):
            while open_until and open_until[-1] <= span["ts"]:
                open_until.pop()
            end = span["ts"] + span["dur"]
            assert not open_until or end <= open_until[-1], span
            open_until.append(end)


@pytest.fixture
def run(tmp_path, streams, stamp):
    return Run(tmp_path, streams, stamp)


def test_a_timeline_without_events_is_valid(run):
    """The file is valid before the first event."""
    assert run.rows() == []
    run.timeline.close()
    assert run.rows() == []


def test_a_phase_and_its_slot_have_rows(run):
    """Slots and the work of a recipe have rows, with times in microseconds from the start."""
    run.emit(acquired(wait_ms=50), started(), script(), script_done(), completed(), released())
    run.timeline.close()
    rows = [
        (row["cat"], row["name"], row["ts"], row["dur"], row["args"]["key"]) for row in run.spans()
    ]
    assert rows == [
        ("slot wait", "waits for a work slot", 50_000, 50_000, A),
        ("script", "make", 300_000, 100_000, A),
        ("phase", "install", 200_000, 300_000, A),
        ("slot", A, 100_000, 500_000, A),
    ]
    assert run.names("process") == ["recipes", "slots"]
    assert run.names("thread") == [A, "work 1"]


def test_slots_are_numbered_within_their_pool(run):
    """A slot gets the lowest free row; option variants are separate."""
    run.emit(acquired(A), acquired(B), acquired("local.c@r1", "transfer"))
    run.emit(released(A), acquired("local.d@r1"), released("local.c@r1", "transfer"))
    run.timeline.close()
    names = {
        (row["pid"], row["tid"]): row["args"]["name"]
        for row in run.rows()
        if row["name"] == "thread_name"
    }
    slots = {row["name"]: names[row["pid"], row["tid"]] for row in run.spans()}
    assert slots == {A: "work 1", B: "work 2", "local.c@r1": "transfer 1", "local.d@r1": "work 1"}


def test_the_file_is_valid_after_each_event(run):
    """A killed process leaves all spans that had ended."""
    for event in (acquired(), started(), script(), script_done(), completed(), released()):
        run.emit(event)
        run.rows()
    assert [row["cat"] for row in run.spans()] == ["script", "phase", "slot"]


def test_open_spans_are_cut_short_at_the_end(run):
    """The work in progress of a cancelled run is shown."""
    run.emit(acquired(), started(), script())
    run.timeline.close()
    assert [(row["cat"], row["args"]["ended"]) for row in run.spans()] == [
        ("script", "cut short"),
        ("phase", "cut short"),
        ("slot", "cut short"),
    ]


def test_a_phase_that_a_cancellation_ended_ends_with_its_slot(run):
    """A cancelled phase has no event of its own; its span ends with its slot."""
    run.emit(acquired(), started(), released(), acquired(B), released(B))
    assert [row["name"] for row in run.spans()] == ["install", A, B]


def test_failures_are_marked(run):
    """The phase and the script that failed are marked."""
    run.emit(acquired(), started(), script(), script_done(exit_code=2), failed(), released())
    marked = {row["name"]: row["args"] for row in run.spans() if "ended" in row["args"]}
    assert marked["make"]["exit_code"] == 2
    assert marked["install"]["error"] == "no"


def test_a_failure_before_any_phase_is_ignored(run):
    """A recipe that fails in resolution has no open span to end."""
    run.emit(failed())
    assert run.spans() == []


def test_a_wait_for_a_lock_is_within_its_phase(run):
    """The slot is released during the wait, and the phase continues afterwards."""
    blocked = about(ev.LockBlocked, lock_path="/c/l", held_by="process 7")
    got = about(ev.LockAcquired, lock_path="/c/l", wait_ms=300)
    run.emit(acquired(), started(), blocked, released(), acquired(wait_ms=5), got)
    run.emit(completed(), released())
    kinds = [row["cat"] for row in run.spans()]
    assert kinds == ["slot", "slot wait", "lock wait", "phase", "slot"]


def test_concurrent_downloads_have_separate_rows(run):
    """Downloads of one recipe overlap, so they cannot be nested in the row of the recipe."""
    for url in ("u1", "u2"):
        run.emit(about(ev.LuaCtxFetchStart, url=url, destination="/d"))
    for url in ("u1", "u2"):
        run.emit(
            about(
                ev.LuaCtxFetchComplete, url=url, destination="/d", bytes_downloaded=9, duration_ms=1
            )
        )
    assert {row["args"]["bytes"] for row in run.spans()} == {9}
    assert run.names("thread") == ["download 1", "download 2"]


def test_a_wait_names_its_dependencies(run):
    """The span lasts from the closed gate to its opening, and names the dependencies."""
    where = {"phase": RecipePhase.BUILD, "target_phase": RecipePhase.COMPLETION}
    run.emit(about(ev.PhaseBlocked, waiting_for=B, **where))
    run.emit(about(ev.PhaseUnblocked, waiting_for=B, wait_ms=100, **where))
    [row] = run.spans()
    assert (row["name"], row["dur"]) == ("waits before build", 100_000)
    assert row["args"]["waiting_for"] == B


def test_a_wait_does_not_overlap_the_span_before_it(run):
    """A wait does not overlap the span before it, although its milliseconds are rounded."""
    run.emit(acquired(), started(), completed(), released())
    run.clock.now += 0.0002
    run.timeline.on_event(run.stamp(acquired(wait_ms=1)))
    run.rows()
    assert run.spans()[-1]["dur"] == 200


def test_test_packages_have_rows(run):
    """The builds and phases of test packages have rows."""
    run.emit(ev.TestBuildStart(packages="m/a m/b"), ev.TestPhaseStart(package="m/a", phase="key"))
    run.emit(ev.TestPhaseComplete(package="m/a", phase="key", duration_ms=1))
    run.emit(ev.TestBuildComplete(packages="m/a m/b", duration_ms=1))
    assert [row["cat"] for row in run.spans()] == ["test phase", "test build"]
    assert run.names("process") == ["tests"]


def test_unusual_names_are_escaped(run):
    """Bytes that are not text, and control characters, break neither the file nor a viewer."""
    run.emit(acquired(), started(), script(command="\udcff\x1b[2J\n"), script_done(command="x"))
    run.timeline.close()
    assert run.spans()[0]["name"] == "\\xff\\x1b[2J\\n"


def test_a_timeline_that_cannot_be_written_is_an_error_at_once(tmp_path, streams):
    """A wrong path is an error before any work is done."""
    with pytest.raises(UsageError, match=r"cannot write the trace to .*No such file"):
        Timeline(tmp_path / "absent" / "t.json", errors=streams.errors)


@pytest.mark.skipif("not __import__('os').path.exists('/dev/full')")
def test_a_full_disk_ends_the_timeline_and_not_the_run(streams, stamp):
    """A full disk causes one warning, and the run continues."""
    from pathlib import Path

    timeline = Timeline(Path("/dev/full"), errors=streams.errors)
    timeline.on_event(stamp(acquired()))
    timeline.close()
    said = streams.errors.getvalue()
    assert said == "warning: the timeline /dev/full ends here: No space left on device\n"


EVENTS = st.lists(
    st.builds(
        lambda make, key: make(key),
        st.sampled_from(
            [
                acquired,
                lambda key: acquired(key, wait_ms=7),
                released,
                started,
                completed,
                failed,
                script,
                script_done,
                lambda key: about(ev.LockBlocked, key, lock_path="/l", held_by=""),
                lambda key: about(ev.LockAcquired, key, lock_path="/l", wait_ms=3),
            ]
        ),
        st.sampled_from([A, B]),
    ),
    max_size=40,
)


@settings(max_examples=100, deadline=None)
@given(st.data(), EVENTS)
def test_any_order_of_events_gives_a_valid_file(tmp_path_factory, data, received):
    """Events in any order, even an impossible one, give a valid file."""
    import io
    import itertools

    from envy.console.text import Streams
    from envy.events import Stamped

    count = itertools.count(1)
    streams = Streams(io.StringIO(), io.StringIO())
    run = Run(tmp_path_factory.mktemp("t"), streams, lambda event: Stamped(next(count), 0.0, event))
    for event in received:
        run.clock.now += data.draw(st.sampled_from([0.0, 0.0004, 0.1]))
        run.timeline.on_event(run.stamp(event))
    run.timeline.close()
    run.rows()
