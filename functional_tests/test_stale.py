"""No warm answer is a stale one, whatever was changed since the answer was kept.

A random walk: some change to files, variables, cache or place; then a command. Whenever that was
answered from what is kept, the full way is asked, too, and has to say the very same.
ENVY_SOAK_STALE says how many walks.
"""

import os
import random
import re

import pytest
from fork_server import ForkServer
from stale_world import COMMANDS, World

WALKS = int(os.environ.get("ENVY_SOAK_STALE", "4"))
SEED = int(os.environ.get("ENVY_SOAK_SEED", "1"))
STEPS = 60


def said(run):
    """How a run ended, less how long it took."""
    return run["code"], run["out"], re.sub(r"\d+\.\ds", "-s", run["err"])


def full(server, world, argv):
    """The same command with no answers at hand; those that there are stay as they are."""
    kept = world.cache / "resolved"
    aside = world.cache / "resolved-aside"
    kept.rename(aside)
    run = server.run(argv, cwd=world.place, environment=world.environment())
    if kept.exists():
        for path in kept.iterdir():
            path.unlink()
        kept.rmdir()
    aside.rename(kept)
    return run


@pytest.mark.parametrize("walk", range(WALKS))
def test_a_warm_answer_is_what_the_full_way_would_say(tmp_path, walk):
    """Along a walk of random changes, each warm answer equals that of the full way."""
    rng = random.Random(f"{SEED}-{walk}")
    world = World(tmp_path, rng)
    history = []
    warm = 0
    with ForkServer() as server:
        for _ in range(STEPS):
            history += [world.change() for _ in range(rng.choice([0, 0, 1, 1, 2]))]
            argv = rng.choice(COMMANDS)
            history.append(" ".join(argv))
            run = server.run(argv, cwd=world.place, environment=world.environment())
            assert run["code"] in {0, 1, 2}, (run, "\n".join(history))
            if run["warm"]:
                warm += 1
                assert said(run) == said(full(server, world, argv)), "\n".join(history)
    assert warm  # else this walk has shown nothing
