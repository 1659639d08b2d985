"""The contract of `--trace=file:PATH`: the events, their fields, and their order."""

import itertools
import json
import os
import random
import re
import signal

import pytest
from archives import make_archive
from loopback.http_server import LoopbackServer, Reply
from project import Project

# The fields of each event, besides ts, seq and event.
CONTRACT = {
    "recipe_registered": "recipe key",
    "dependency_added": "parent dependency kind needed_by needed_by_num",
    "reference_resolved": "recipe query kind provider by_fallback",
    "thread_start": "recipe target_phase target_phase_num",
    "thread_complete": "recipe final_phase final_phase_num",
    "target_extended": "recipe old_target old_target_num new_target new_target_num",
    "phase_start": "recipe key phase phase_num",
    "phase_complete": "recipe key phase phase_num duration_ms",
    "phase_failed": "recipe key phase phase_num error",
    "phase_blocked": "recipe phase phase_num waiting_for target_phase target_phase_num",
    "phase_unblocked": "recipe phase phase_num waiting_for target_phase target_phase_num wait_ms",
    "slot_acquired": "recipe pool wait_ms",
    "slot_released": "recipe pool hold_ms",
    "cache_hit": "recipe cache_key asset_path fast_path",
    "cache_miss": "recipe cache_key asset_path reason",
    "lock_acquired": "recipe lock_path wait_ms",
    "lock_released": "recipe lock_path hold_ms",
    "lua_ctx_run_start": "recipe command cwd",
    "lua_ctx_run_complete": "recipe command cwd exit_code duration_ms",
    "lua_ctx_fetch_start": "recipe url destination",
    "lua_ctx_fetch_complete": "recipe url destination bytes_downloaded duration_ms",
    "lua_ctx_extract_start": "recipe archive_path destination",
    "lua_ctx_extract_complete": "recipe archive_path destination files_extracted duration_ms",
    "lua_ctx_asset_access": (
        "recipe target provider current_phase current_phase_num needed_by needed_by_num "
        "allowed reason"
    ),
    "lua_ctx_product_access": (
        "recipe product provider current_phase current_phase_num needed_by needed_by_num "
        "allowed reason"
    ),
    "download_progress": "recipe url bytes total",
    "output_line": "recipe phase phase_num stream text",
}
NUMBERS = {
    "none": -1,
    "recipe_fetch": 0,
    "check": 1,
    "fetch": 2,
    "stage": 3,
    "build": 4,
    "install": 5,
    "deploy": 6,
    "completion": 7,
}
NOT_IN_FILES = {"download_progress", "output_line"}
TYPES = {"string": str, "integer": int, "boolean": bool, "number": float}


@pytest.fixture
def schema(project):
    """Return the properties of each event, as `envy trace-schema` prints them."""
    printed = json.loads(project.envy("trace-schema", trace=False).out)
    return {row["properties"]["event"]["const"]: row["properties"] for row in printed["oneOf"]}


@pytest.fixture(scope="module")
def everything(tmp_path_factory):
    """Two syncs that emit every event of a successful run."""
    project = Project(tmp_path_factory.mktemp("everything") / "project")
    project.packages("local.app@r1", "local.again@r1")
    project.recipe(
        "local.app@r1",
        """dependencies = { { recipe = "tool", weak = { recipe = "local.tool@r1" } } }
        install = function(ctx)
          ctx.run("true # " .. string.rep("x", 200))
          ctx.asset("tool") ctx.product("tool")
          ctx.write("x", "")
        end""",
    )
    project.recipe("local.again@r1", 'dependencies = { "local.tool@r1" }\ninstall = "touch x"')
    with LoopbackServer() as server:
        server.routes["/data.tar.gz"] = Reply(make_archive("x.tar.gz", {"data": "data"}))
        project.recipe(
            "local.tool@r1",
            f"""fetch = "{server.url}/data.tar.gz"
            install = "echo some output; touch tool"
            products = {{ tool = {{ path = "tool", kind = "file" }} }}""",
        )
        return [project.envy("sync", "--jobs", "2"), project.envy("sync", "--jobs", "2")]


def test_the_schema_holds_every_event_of_the_contract(schema):
    """The schema has each event of the contract, with exactly these fields."""
    for name, fields in CONTRACT.items():
        assert schema[name].keys() == {"ts", "seq", "event", *fields.split()}, name


def test_every_line_is_an_event_of_the_schema(everything, schema):
    """Names, fields and types are those of `envy trace-schema`."""
    for event in itertools.chain.from_iterable(run.events for run in everything):
        properties = schema[event["event"]]
        assert event.keys() == properties.keys()
        for name, value in event.items():
            if "type" in properties[name]:
                assert type(value) is TYPES[properties[name]["type"]], (event["event"], name)


def test_a_successful_run_emits_every_event_except_failures(everything):
    """A successful run emits every event of the contract except failures."""
    emitted = {event["event"] for run in everything for event in run.events}
    assert CONTRACT.keys() - emitted == {"phase_failed", *NOT_IN_FILES}


def test_events_are_numbered_without_gaps(everything):
    """seq is 1, 2, … in the order of the lines."""
    for run in everything:
        assert [event["seq"] for event in run.events] == list(range(1, len(run.events) + 1))


def test_times_are_utc_in_milliseconds(everything):
    """Each ts has the form 2030-01-31T12:00:00.000Z."""
    moment = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
    assert all(moment.fullmatch(event["ts"]) for run in everything for event in run.events)


def test_phases_come_with_their_numbers(everything):
    """Each field with a phase has a field with its number."""
    for event in itertools.chain.from_iterable(run.events for run in everything):
        for name in [name for name in event if name.endswith("_num")]:
            assert event[name] == NUMBERS[event[name.removesuffix("_num")]]


def test_commands_are_shortened(everything):
    """Only the first hundred characters of a command are shown."""
    [long] = everything[0].named("lua_ctx_run_start", recipe="local.app@r1")
    assert long["command"] == "true # " + "x" * 93


def test_slots_are_released_before_they_are_acquired_again(everything):
    """In the order of seq, no more slots are in use than a pool has."""
    for run in everything:
        used = {"work": 0, "transfer": 0}
        for event in run.events:
            if event["event"] == "slot_acquired":
                used[event["pool"]] += 1
            elif event["event"] == "slot_released":
                used[event["pool"]] -= 1
            assert used["work"] <= 2
        assert set(used.values()) == {0}


def test_every_start_has_its_end(everything):
    """Every phase, thread, lock, run, fetch and extraction that starts also ends."""
    for run in everything:
        count = {name: len(run.named(name)) for name in CONTRACT}
        for name in ("phase", "thread", "lua_ctx_run", "lua_ctx_fetch", "lua_ctx_extract"):
            assert count[f"{name}_start"] == count[f"{name}_complete"], name
        assert count["lock_acquired"] == count["lock_released"]
        assert count["phase_blocked"] == count["phase_unblocked"]


def test_a_second_run_hits_on_the_fast_path(everything):
    """Cached packages are found without a lock, and the trace says so."""
    second = everything[1]
    assert {event["fast_path"] for event in second.named("cache_hit")} == {True}
    assert second.named("lock_acquired") == []
    assert second.named("cache_miss") == []


@pytest.mark.parametrize("seed", [1, 2])
def test_a_dependency_completes_before_its_dependents_continue(project, seed):
    """In a random graph, a phase starts only after the dependencies that it needs are complete."""
    rng = random.Random(seed)
    needs = {}
    for number in range(24):
        others = rng.sample(range(number), min(number, rng.randint(0, 3)))
        needs[number] = {
            other: rng.choice(["check", "fetch", "stage", "build", "install", "deploy"])
            for other in others
        }
        rows = ", ".join(
            f'{{ recipe = "local.p{other}@r1", needed_by = "{phase}" }}'
            for other, phase in needs[number].items()
        )
        project.recipe(
            f"local.p{number}@r1",
            f"dependencies = {{ {rows} }}\ninstall = function(ctx) ctx.mark_install_complete() end",
        )
    project.packages(*[f"local.p{number}@r1" for number in needs])
    run = project.envy("sync", "--jobs", "3")
    at = {
        (event["event"], event["recipe"], event["phase"]): event["seq"]
        for event in run.events
        if event["event"] in {"phase_start", "phase_complete"}
    }
    for number, others in needs.items():
        for other, phase in others.items():
            done = at["phase_complete", f"local.p{other}@r1", "completion"]
            assert done < at["phase_start", f"local.p{number}@r1", phase]


def test_a_failure_has_its_error(project):
    """phase_failed has the error, and recipe_aborted names the failed dependency."""
    project.packages("local.app@r1")
    project.recipe("local.tool@r1", 'install = "exit 3"')
    project.recipe("local.app@r1", 'dependencies = { "local.tool@r1" }\ninstall = "touch x"')
    run = project.envy("sync", code=1)
    [failed] = run.named("phase_failed")
    assert (failed["recipe"], failed["phase"]) == ("local.tool@r1", "install")
    assert "exited 3" in failed["error"]
    [aborted] = run.named("recipe_aborted")
    assert (aborted["recipe"], aborted["dependency"]) == ("local.app@r1", "local.tool@r1")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_the_file_is_complete_however_the_process_ended(project, tmp_path, number):
    """Every line is complete, up to the last event before the end."""
    fifo, trace = tmp_path / "reached.fifo", tmp_path / "trace.jsonl"
    os.mkfifo(fifo)
    project.packages("local.one@r1")
    project.recipe("local.one@r1", f'install = "echo x > {fifo}; sleep 600"')
    process = project.popen("sync", f"--trace=file:{trace}")
    fifo.read_text()
    process.send_signal(number)
    process.communicate(timeout=300)
    text = trace.read_text()
    assert text.endswith("\n")
    events = [json.loads(row) for row in text.splitlines()]
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert "lua_ctx_run_start" in {event["event"] for event in events}
    if number == signal.SIGKILL:
        [lock] = project.cache.rglob("local.one@r1*.lock")
        for group in json.loads(lock.read_text())["groups"]:
            os.killpg(int(group), signal.SIGKILL)  # end the script that the killed process left


def test_the_trace_on_stderr_is_readable_text(project):
    """--trace=stderr writes one line of text for each event."""
    project.packages("local.one@r1")
    project.recipe("local.one@r1", 'install = "touch x"')
    run = project.envy("sync", "--trace=stderr", "--quiet")
    for event in run.events:
        assert f" {event['event']}: " in run.err


def test_both_sinks_at_once(project, tmp_path):
    """--trace may be given twice, with two destinations."""
    project.packages("local.one@r1")
    project.recipe("local.one@r1", 'install = "touch x"')
    trace = tmp_path / "other.jsonl"
    run = project.envy("--trace", "sync", f"--trace=file:{trace}", trace=False)
    assert "phase_start" in run.err
    assert '"phase_start"' in trace.read_text()
