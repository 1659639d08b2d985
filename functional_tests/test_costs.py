"""What a recipe costs, in operations: few, and no more for each recipe when there are many.

Timings are for `make bench`; the counts here do not depend on the machine.
"""

import itertools
import random
from collections import Counter

import pytest
from operations import count
from project import Project

SHAPES = ["random", "chain", "star"]
# Limits for each recipe, nearly all of it bookkeeping. Lower them, do not raise them.
COLD = {
    "open": 14, "os.mkdir": 8, "os.listdir": 1, "os.scandir": 1, "os.chmod": 1, "os.rename": 1,
    "os.remove": 1, "os.rmdir": 4,
}  # fmt: skip
CACHED = {"open": 3}  # the recipe, and its marker twice: when the key is known, and in check
WARM = {"open": 2, "call open": 2, "call read": 2, "call close": 2, "call lstat": 1}


def needs_of(shape, number, rng):
    """Return the numbers of the recipes on which a recipe depends."""
    if shape == "chain":
        return range(max(0, number - 1), number)
    return rng.sample(range(number), min(3, number)) if shape == "random" else ()


def generate(folder, shape, many):
    """Create a project of so many recipes."""
    project = Project(folder / f"{shape}{many}")
    rng = random.Random(1)
    project.packages(*[f"local.p{number:04d}@r1" for number in range(many)])
    for number in range(many):
        rows = "".join(f'"local.p{need:04d}@r1", ' for need in needs_of(shape, number, rng))
        project.recipe(
            f"local.p{number:04d}@r1",
            f"dependencies = {{ {rows} }}\ninstall = function(ctx) ctx.mark_install_complete() end",
        )
    return project


def per_recipe(found):
    """Return the operations that each recipe adds, from the counts for 25, 50 and 75 recipes.

    Assert that from 50 to 75 recipes each adds the same, so that costs are linear.
    """
    names = sorted({name for counts in found for name in counts} - {"states"})
    steps = [
        {name: (more[name] - less[name]) / 25 for name in names}
        for less, more in itertools.pairwise(found)
    ]
    assert steps[0] == steps[1]
    return {name: value for name, value in steps[0].items() if value}


def cold(project):
    """Count a sync into an empty cache, or one without a stored answer."""
    return count(project, "sync", "--quiet", "--jobs", "2")


def costs(project):
    """Count three syncs: of an empty cache, without a stored answer, and with one."""
    into_an_empty_cache = cold(project)
    for answer in (project.cache / "resolved").iterdir():
        answer.unlink()
    return into_an_empty_cache, cold(project), count(project, "sync", "--quiet", calls=True)


@pytest.mark.parametrize("shape", SHAPES)
def test_each_recipe_costs_the_same_few_operations(tmp_path, shape):
    """The operations on files are linear in the number of recipes, and within the limits."""
    runs = [costs(generate(tmp_path, shape, many)) for many in (25, 50, 75)]
    names = ("cold", "cached", "warm")
    for name, most, found in zip(names, (COLD, CACHED, WARM), zip(*runs, strict=True), strict=True):
        added = per_recipe(found)
        over = {what: number for what, number in added.items() if number > most.get(what, 0)}
        assert over == {}, name


@pytest.mark.parametrize("shape", SHAPES)
def test_each_recipe_is_granted_a_slot_twice_and_each_gate_wakes_once(tmp_path, shape):
    """A recipe gets a slot to load and a slot to build, and is woken at most once, by its gate."""
    many = 80
    project = generate(tmp_path, shape, many)
    for _ in ("cold", "cached"):
        run = project.envy("sync", "--jobs", "3")
        events = Counter(event["event"] for event in run.events)
        closed = [(event["recipe"], event["phase"]) for event in run.named("phase_blocked")]
        opened = [(event["recipe"], event["phase"]) for event in run.named("phase_unblocked")]
        gates = sum(1 for number in range(many) if shape != "star" and number)
        assert sorted(closed) == sorted(opened)
        assert len(set(opened)) == len(opened) <= gates
        assert 2 * many <= events["slot_acquired"] <= 2 * many + len(opened)
        assert events["slot_released"] == events["slot_acquired"]
        # Each wake-up is at most one more start of a worker.
        assert events["thread_start"] <= events["slot_acquired"] + gates


def test_lua_states_are_closed(tmp_path):
    """A recipe without functions has a Lua state only while it loads; others until they end."""
    project = generate(tmp_path, "star", 60)
    with_functions = count(project, "sync", "--jobs", "2")["states"]
    for path in project.root.glob("recipes/*.lua"):
        path.write_text(path.read_text().partition("\n")[0] + '\ninstall = "touch x"\n')
    assert count(project, "sync", "--jobs", "2")["states"] <= 1 + 2
    assert with_functions <= 60 + 1


@pytest.mark.parametrize("words", [("sync",), ("asset", "p0000")])
def test_a_warm_command_starts_no_program_and_no_thread(tmp_path, words):
    """A warm command only reads files; it writes none."""
    project = generate(tmp_path, "random", 20)
    cold(project)
    project.envy(*words, trace=False)  # the first command of an hour records the use
    found = count(project, *words, calls=True)
    assert {name for name in found if name.startswith("call ")} <= {
        "call close", "call confstr", "call fspath", "call fstat", "call getcwd", "call lstat",
        "call open", "call read", "call scandir", "call stat", "call uname", "call _path_normpath",
    }  # fmt: skip
