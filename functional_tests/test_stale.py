"""No warm answer is stale, whatever changed since it was stored.

A random walk: changes to files, variables, the cache or the current directory; then a command. Each
time a stored answer is used, the command is repeated without stored answers, and must say the same.
Only a sync notices other programs of the machine; a query may answer as with any that there were.
After each whole sync, a launcher does what a full `envy run` does.
ENVY_SOAK_STALE sets the number of walks.
"""

import os
import random
import re
import subprocess

import pytest
from fork_server import ForkServer
from stale_world import COMMANDS, HOSTS, World

WALKS = int(os.environ.get("ENVY_SOAK_STALE", "4"))
SEED = int(os.environ.get("ENVY_SOAK_SEED", "1"))
STEPS = 60


def outcome_of(run):
    """Return how a run ended, without its duration."""
    return run["code"], run["out"], re.sub(r"\d+\.\ds", "-s", run["err"])


def is_right(server, world, argv, outcome):
    """Whether a full run ends like this; for a query, with any programs that there were."""
    if outcome == outcome_of(full_run(server, world, argv)):
        return True
    now = world.host
    found = False
    for host in HOSTS if argv[0] != "sync" else ():
        world.set_host(host)
        found = found or outcome == outcome_of(full_run(server, world, argv))
    world.set_host(now)
    return found


def full_run(server, world, argv):
    """Run the same command without stored answers, and restore them afterwards."""
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


def check_launcher(server, world):
    """Check that the launcher, which a whole sync has just written, does what a full run does."""
    program = world.launcher()
    if program is None:
        return
    done = subprocess.run(
        [program, "x"], cwd=world.place, env=world.environment(), capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    full = full_run(server, world, ["run", "--", "hosted", "x"])
    assert (done.returncode, done.stdout) == (full["code"], full["out"]), done.stderr


@pytest.mark.parametrize("walk", range(WALKS))
def test_a_warm_answer_equals_that_of_a_full_run(tmp_path, walk):
    """On a walk of random changes, each warm answer equals that of a full run."""
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
            assert run["code"] in {0, 1, 2, 126, 127}, (run, "\n".join(history))
            if run["warm"]:
                warm += 1
                assert is_right(server, world, argv, outcome_of(run)), "\n".join(history)
            if run["code"] == 0 and argv[0] == "sync" and not {"app", "lib", "hosted"} & {*argv}:
                check_launcher(server, world)
    assert warm  # otherwise the walk has tested nothing
