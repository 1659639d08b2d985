"""Sets of several hostile items, fetched and unpacked into one stage: nothing outside changes.

400 sets here; ENVY_SOAK_HOSTILE says how many, ENVY_SOAK_SEED from which seed on.
"""

import os
from pathlib import Path

import pytest
from fault_injection import memory_dir
from hostile_items import Box, HostileSet

from envy.errors import EnvyError
from envy.execution.ctx import CtxFunctions
from envy.execution.unpack import unpack_all

SETS = int(os.environ.get("ENVY_SOAK_HOSTILE", "400"))
SEED = int(os.environ.get("ENVY_SOAK_SEED", "0"))
PARTS = 8  # parts of the work, for the processes of the test runner
GIT_EVERY = 50  # a real repository takes as long as fifty other sets


def attempt(action, *arguments, **named):
    """Return whether an action succeeds; a refusal must be an error of envy."""
    try:
        action(*arguments, **named)
    except EnvyError:
        return False
    return True


def leads_outside(stage):
    """Return the links of a stage that lead outside."""
    return [
        link
        for link in stage.rglob("*")
        if link.is_symlink() and not Path(os.path.realpath(link)).is_relative_to(stage)
    ]


def call_of(hostile, functions):
    """Call a random file function of ctx with relative paths."""
    one, two = hostile.path(), hostile.path()
    return hostile.random.choice(
        (
            lambda: functions.write(one, "evil"),
            lambda: functions.copy(one, two),
            lambda: functions.copy(f"{one}/.", two),
            lambda: functions.move(one, two),
            lambda: functions.remove(one),
            lambda: functions.mkdir(one),
            lambda: functions.symlink(hostile.target(), one),
            lambda: functions.chmod(one, "777"),
            lambda: functions.replace(one, "evil", "changed"),
            lambda: functions.extract_all({"dest": one}),
        )
    )


@pytest.mark.parametrize("part", range(PARTS))
def test_nothing_outside_changes(part, record_property):
    """Whatever several items bring, no file outside is created, changed or removed."""
    unpacked = sets = 0
    for seed in range(SEED + part, SEED + SETS, PARTS):
        with memory_dir() as folder:
            box = Box(Path(folder).resolve())
            hostile = HostileSet(seed, box, with_git=seed % GIT_EVERY == 0)
            before = box.snapshot()
            run = box.run()
            done = attempt(box.fetch, run, hostile.rows) and attempt(unpack_all, run, ".", strip=0)
            assert box.snapshot() == before, (seed, hostile.rows)
            if done and not hostile.has_foreign_links:
                assert leads_outside(box.entry.stage_dir) == [], (seed, hostile.rows)
            functions = CtxFunctions(run)
            for _ in range(8):
                attempt(call_of(hostile, functions))
            assert box.snapshot() == before, (seed, hostile.rows)
            sets += 1
            unpacked += done
    assert unpacked  # most are refused, but not all
    record_property("shown", f"hostile sets: {sets} in each of {PARTS} parts, none wrote outside")
