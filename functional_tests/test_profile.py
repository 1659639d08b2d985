"""Where time goes: `envy sync --profile`, timelines, and stored durations."""

import json
import os
import re
import shutil
import signal

import pytest
from archives import make_archive
from console.test_timeline import check as check_timeline
from loopback.http_server import LoopbackServer, Reply

CHAIN = {
    "local.low@r1": 'build = "sleep 0.1"\ninstall = "touch low"',
    "local.high@r1": 'dependencies = { "local.low@r1" }\ninstall = "sleep 0.1; touch high"',
    "local.top@r1": 'dependencies = { "local.high@r1" }\ninstall = "touch top"',
}


@pytest.fixture
def chain(project):
    """Three packages, each of which depends on the one before it."""
    project.packages(*CHAIN)
    for identity, body in CHAIN.items():
        project.recipe(identity, body)
    return project


def timeline_of(project, *words, **options):
    """Run envy with a timeline; return the run and the rows of the timeline, which are valid."""
    path = project.root.parent / "timeline.json"
    run = project.envy(*words, f"--trace=timeline:{path}", **options)
    return run, check_timeline(json.loads(path.read_text()))


def profile_of(run):
    """Return the lines of a profile."""
    lines = run.err.splitlines()
    return lines[next(i for i, line in enumerate(lines) if line.startswith("profile: ")) :]


def stored_durations(project):
    """Return the file that stores durations, and its rows."""
    [path] = (project.cache / "durations").iterdir()
    return path, json.loads(path.read_text())["rows"]


def test_a_profile_follows_the_summary(chain):
    """The profile has phases, the critical path, slots, and the lower bound of the run."""
    run = chain.envy("sync", "--profile", "--jobs", "2")
    lines = profile_of(run)
    assert run.err.splitlines()[-len(lines) - 1].startswith("sync complete: 3 packages")
    phases = {line.split()[0]: line.split()[1] for line in lines[2:11]}
    assert phases["install"] == "3"
    assert phases["recipe_fetch"] == "3"
    path = lines[[line.startswith("critical path: ") for line in lines].index(True) :]
    # On a slow machine, loading a recipe may take longer than the packages below it.
    bound = next(number for number, line in enumerate(path) if line.startswith("lower bound: "))
    steps = [line.split()[1].rstrip(":") for line in path[1 : bound - 1]]
    assert steps == list(CHAIN)[-len(steps) :]
    assert path[0].endswith(f"through {len(steps)} package{'s' * (len(steps) > 1)}")
    assert path[bound - 1].startswith("slots: 2 work (--jobs) ")
    assert re.fullmatch(
        r"lower bound: (\S+), the largest of critical path \1, work \S+ / 2 = \S+, "
        r"transfer \S+ / 8 = \S+; this run took \d+\.\d\d times that",
        path[bound],
    )


def test_a_profile_of_a_warm_run_is_a_full_run(chain):
    """With --profile, a sync is never answered from a stored answer."""
    chain.envy("sync", trace=False)
    run = chain.envy("sync", "--profile", trace=False)
    text = "\n".join(profile_of(run))
    assert "(3 cached)" in run.err
    assert "completion            3" in text
    assert "install" not in text


def test_a_profile_of_a_failed_run_counts_what_ran(chain):
    """The profile follows the error, and covers the phases that ran."""
    chain.recipe("local.high@r1", 'dependencies = { "local.low@r1" }\ninstall = "exit 3"')
    run = chain.envy("sync", "--profile", code=1)
    assert run.err.index("error: local.high@r1") < run.err.index("profile: ")
    assert "local.low@r1: " in "\n".join(profile_of(run))


def test_a_profile_of_an_invalid_graph_comes_with_the_error(project):
    """An invalid graph has an error, and a profile of what ran before it."""
    project.packages("local.a@r1")
    project.recipe("local.a@r1", 'dependencies = { "local.a@r1" }')
    run = project.envy("sync", "--profile", code=1)
    assert "recipe_fetch" in "\n".join(profile_of(run))
    assert "error: " in run.err


def test_a_run_that_did_not_begin_has_no_profile(project):
    """An error before the run has no profile."""
    assert "profile" not in project.envy("sync", "--profile", code=1, trace=False).err


def test_a_dry_run_has_no_profile(chain):
    """--profile with --dry-run is an error."""
    run = chain.envy("sync", "--profile", "--dry-run", code=2, trace=False)
    assert "--dry-run runs nothing, so there is nothing for --profile to measure" in run.err


@pytest.fixture
def running(chain):
    """A run with a timeline, in the middle of a script."""
    started = chain.root / "started.fifo"
    os.mkfifo(started)
    chain.recipe("local.low@r1", f'install = "echo x > {started}; sleep 600"')
    path = chain.root.parent / "timeline.json"
    process = chain.popen("sync", "--profile", f"--trace=timeline:{path}")
    started.read_text()
    yield process, path
    process.kill()
    process.communicate()


def test_a_cancelled_run_has_a_profile_and_a_timeline(running):
    """The profile and the timeline include the interrupted phase."""
    process, path = running
    process.send_signal(signal.SIGINT)
    _out, err = process.communicate(timeout=300)
    assert process.returncode == 130
    assert "critical path: " in err.decode()
    rows = check_timeline(json.loads(path.read_text()))
    [install] = [row for row in rows if row["name"] == "install" and "ended" in row["args"]]
    assert install["args"] == {"key": "local.low@r1", "ended": "cut short"}


def test_a_killed_run_leaves_a_timeline_that_can_be_read(running):
    """The timeline of a killed run includes the phases that had ended."""
    process, path = running
    process.kill()
    process.communicate(timeout=300)
    rows = check_timeline(json.loads(path.read_text()))
    assert {"recipe_fetch", "check"} <= {row["name"] for row in rows}


def test_a_timeline_shows_slots_recipes_scripts_and_downloads(project):
    """A timeline covers the whole run, and can be combined with another trace."""
    with LoopbackServer() as server:
        server.routes["/x.tar.gz"] = Reply(make_archive("x.tar.gz", {"x/file": "1"}))
        project.sync_one(
            f'fetch = "{server.url}/x.tar.gz"\nbuild = "true"\ninstall = "touch one"',
            f"--trace=timeline:{project.root.parent / 'timeline.json'}",
            "--trace=stderr",
        )
    rows = check_timeline(json.loads((project.root.parent / "timeline.json").read_text()))
    spans = {(row["cat"], row["name"]) for row in rows if row["ph"] == "X"}
    assert {("phase", name) for name in ("check", "fetch", "stage", "build", "install")} <= spans
    assert {("slot", "local.one@r1"), ("script", "true"), ("script", "touch one")} <= spans
    assert any(kind == "extract" for kind, _ in spans)
    assert any(kind == "download" and name.endswith("/x.tar.gz") for kind, name in spans)
    groups = {row["args"]["name"] for row in rows if row["name"] == "process_name"}
    assert groups == {"slots", "recipes", "downloads"}
    lanes = {row["args"]["name"] for row in rows if row["name"] == "thread_name"}
    assert {"work 1", "transfer 1", "download 1", "local.one@r1"} <= lanes


def test_a_timeline_shows_who_waits_for_a_lock(project):
    """The wait for another process is shown within check, with the holder of the lock."""
    started, leave = project.root / "started.fifo", project.root / "leave.fifo"
    os.mkfifo(started)
    os.mkfifo(leave)
    project.packages("local.one@r1")
    project.recipe("local.one@r1", f'install = "echo x > {started}; read x < {leave}; touch one"')
    path = project.root.parent / "timeline.json"
    first = project.popen("sync")
    started.read_text()
    second = project.popen("sync", f"--trace=timeline:{path}", "--trace=stderr")
    while "lock_blocked" not in second.stderr.readline().decode():
        pass
    leave.write_text("go\n")
    for process in (first, second):
        process.communicate(timeout=300)
        assert process.returncode == 0
    rows = check_timeline(json.loads(path.read_text()))
    [wait] = [row for row in rows if row.get("cat") == "lock wait"]
    [check] = [row for row in rows if row["name"] == "check"]
    assert check["ts"] <= wait["ts"]
    assert wait["ts"] + wait["dur"] <= check["ts"] + check["dur"]
    assert wait["args"]["held_by"].startswith(f"process {first.pid}")


def test_durations_are_stored_for_the_next_run(chain):
    """Durations are stored by package and phase; a run that builds nothing does not write them."""
    chain.envy("sync", trace=False)
    path, rows = stored_durations(chain)
    assert set(rows) == set(CHAIN)
    [[_, run, seconds]] = rows["local.low@r1"]
    assert run == 1
    assert seconds[2] > 0  # fetch, stage, build
    written = path.stat().st_mtime_ns
    chain.envy("sync", trace=False)
    shutil.rmtree(chain.cache / "resolved")
    chain.envy("sync", trace=False)
    assert path.stat().st_mtime_ns == written


def test_the_slowest_package_of_the_last_run_goes_first(project):
    """With one slot, the package that took longest in the previous run goes first."""
    names = ["a", "b", "c"]
    project.packages(*(f"local.{name}@r1" for name in names))
    for name in names:
        project.recipe(f"local.{name}@r1", f'install = "touch {name}"')
    order = []
    for _ in range(2):
        run = project.envy("sync", "--jobs", "1")
        order.append([row["recipe"][6] for row in run.named("recipe_complete")])
        shutil.rmtree(project.cache / "assets")
        path, _ = stored_durations(project)
        record = json.loads(path.read_text())
        record["rows"]["local.b@r1"][0][2] = [0, 0, 0, 3600]
        path.write_text(json.dumps(record))
    assert order[0] == ["a", "b", "c"]
    assert order[1][0] == "b"


def test_damaged_durations_are_ignored(chain):
    """A damaged file of durations is ignored, and written again by the next run."""
    chain.envy("sync", trace=False)
    path, _ = stored_durations(chain)
    for content in (b"", b"{", b"[" * 100_000, b'{"format":1,"run":1,"rows":{"local.low@r1":7}}'):
        path.write_bytes(content)
        shutil.rmtree(chain.cache / "assets")
        run = chain.envy("sync", "--quiet", trace=False)
        assert run.err == ""
        assert set(stored_durations(chain)[1]) == set(CHAIN)


def test_durations_that_cannot_be_stored_are_no_error(chain):
    """If durations cannot be stored, a sync succeeds without a message."""
    chain.cache.mkdir()
    (chain.cache / "durations").write_text("")
    assert chain.envy("sync", "--quiet", trace=False).err == ""
