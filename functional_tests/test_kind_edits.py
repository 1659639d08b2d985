"""Remembered results of all kinds: after random edits, kills and beside another run they are right.

A few edits here, over the kinds that start fast; with ENVY_SOAK_EDITS so many, over all kinds that
work here, each compared with a fresh run, too. ENVY_SOAK_SEED says from which seed on.
"""

import os
import random

import pytest
from edited_repository import FOLDERS, QUICK, EditedRepository, present

STEPS = int(os.environ.get("ENVY_SOAK_EDITS", "3"))
SEED = int(os.environ.get("ENVY_SOAK_SEED", "3"))
IS_SOAK = STEPS > 20


@pytest.fixture
def repository(request, tmp_path):
    """The repository with all kinds in a soak, else with those that start fast."""
    if not IS_SOAK:
        return EditedRepository(tmp_path / "all", present(QUICK))
    folders = [request.getfixturevalue("go"), request.getfixturevalue("zig")[0]]
    return EditedRepository(tmp_path / "all", list(FOLDERS), path=folders)


def test_random_edits_never_get_a_stale_verdict(repository):
    """After each edit the verdicts are those of the model, and what nothing has changed is kept."""
    choose = random.Random(SEED)
    done = "nothing"
    shown, before = 0, ""
    for number in range(STEPS):
        expected, held = repository.verdicts(), repository.held()
        words = [] if number % 2 else ["--explain"]  # without, it may be answered at once
        verdicts, cached, run = repository.run(*words)
        assert verdicts == expected, (number, done, run.out, run.err)
        assert held <= cached, (number, done, held - cached, run.out, run.err, before)
        before = run.err
        shown += len(cached)
        if IS_SOAK:
            assert repository.run("--no-cache")[0] == expected, (number, done)
        done = repository.step(choose)
    assert shown


def test_kills_and_a_second_run_beside_leave_what_a_clean_run_leaves(repository):
    """After a kill at any moment, and beside another run, the verdicts are right and remembered."""
    choose = random.Random(SEED)
    for lines in choose.sample(range(40), 20) if IS_SOAK else [5]:
        for _ in range(4):
            repository.step(choose)
        with repository.popen("test", "--json") as process:
            for _ in range(lines):
                process.stdout.readline()
            process.kill()
        verdicts, _, run = repository.run()
        assert verdicts == repository.verdicts(), (lines, run.out, run.err)
    for kind in repository.kinds:
        repository.back(kind, choose)
        repository.plus(kind, choose)
    both = [repository.popen("test", "--json") for _ in range(2)]
    for process in both:
        out, err = process.communicate()
        verdicts, _ = repository.read(out.decode(), process.returncode)
        assert verdicts == repository.verdicts(), err
    repository.run()  # what changed in a folder while both ran may not have been kept
    _, cached, run = repository.run()
    passed = {kind for kind, verdict in repository.verdicts().items() if verdict == "pass"}
    assert passed <= cached, (run.out, run.err)
    assert not list(repository.cache.rglob("*.new"))
