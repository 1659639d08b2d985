"""What a recipe costs, in operations: the same for each, however many there are, and not many.

Timings are for `make bench`; these do not depend on the machine.
"""

import itertools
import random
from collections import Counter

import pytest
from operations import count
from project import Project

SHAPES = ["random", "chain", "star"]
# For each recipe, of which all but the body is bookkeeping; to be lowered, and not raised.
COLD = {
    "open": 14, "os.mkdir": 8, "os.listdir": 1, "os.scandir": 1, "os.chmod": 1, "os.rename": 1,
    "os.remove": 1, "os.rmdir": 4,
}  # fmt: skip
CACHED = {"open": 3}  # the recipe, and its marker when the key is known and when it is checked
WARM = {"open": 2, "call open": 2, "call read": 2, "call close": 2, "call lstat": 1}


def needs_of(shape, number, draw):
    """The earlier recipes that a recipe needs."""
    if shape == "chain":
        return range(max(0, number - 1), number)
    return draw.sample(range(number), min(3, number)) if shape == "random" else ()


def generate(folder, shape, many):
    """A project of so many recipes."""
    project = Project(folder / f"{shape}{many}")
    draw = random.Random(1)
    project.packages(*[f"local.p{number:04d}@r1" for number in range(many)])
    for number in range(many):
        rows = "".join(f'"local.p{need:04d}@r1", ' for need in needs_of(shape, number, draw))
        project.recipe(
            f"local.p{number:04d}@r1",
            f"dependencies = {{ {rows} }}\ninstall = function(ctx) ctx.mark_install_complete() end",
        )
    return project


def per_recipe(tmp_path, shape, measure):
    """The operations of 50 recipes less those of 25, for each of the 25 more.

    Checked is that from 50 to 75 it is as much: that nothing grows with the number of others.
    """
    found = [measure(generate(tmp_path, shape, many)) for many in (25, 50, 75)]
    names = sorted({name for counts in found for name in counts} - {"states"})
    steps = [
        {name: (more[name] - less[name]) / 25 for name in names}
        for less, more in itertools.pairwise(found)
    ]
    assert steps[0] == steps[1]
    return {name: value for name, value in steps[0].items() if value}


def cold(project):
    """A sync into an empty cache."""
    return count(project, "sync", "--quiet", "--jobs", "2")


def cached(project):
    """A sync that finds all in the cache, and no answer."""
    cold(project)
    for answer in (project.cache / "resolved").iterdir():
        answer.unlink()
    return cold(project)


def warm(project):
    """A sync that is answered from what was kept."""
    cold(project)
    return count(project, "sync", "--quiet", calls=True)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    ("measure", "most"),
    [(cold, COLD), (cached, CACHED), (warm, WARM)],
    ids=["cold", "cached", "warm"],
)
def test_each_recipe_costs_the_same_few_operations(tmp_path, shape, measure, most):
    """Files opened, folders made and listed, names changed: linear, and at most so many."""
    found = per_recipe(tmp_path, shape, measure)
    assert {name: number for name, number in found.items() if number > most.get(name, 0)} == {}


@pytest.mark.parametrize("shape", SHAPES)
def test_each_recipe_is_granted_a_slot_twice_and_each_gate_wakes_once(tmp_path, shape):
    """To be loaded, and to be made; in between it is woken at most once, when its gate opens."""
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
        # A worker that goes on is what a wake-up comes to.
        assert events["thread_start"] <= events["slot_acquired"] + gates


def test_lua_states_are_let_go(tmp_path):
    """Recipes that are data need theirs while they are loaded; others, until they have ended."""
    project = generate(tmp_path, "star", 60)
    with_functions = count(project, "sync", "--jobs", "2")["states"]
    for path in project.root.glob("recipes/*.lua"):
        path.write_text(path.read_text().partition("\n")[0] + '\ninstall = "touch x"\n')
    assert count(project, "sync", "--jobs", "2")["states"] <= 1 + 2
    assert with_functions <= 60 + 1


@pytest.mark.parametrize("words", [("sync",), ("asset", "p0000")])
def test_a_warm_command_starts_no_program_and_no_thread(tmp_path, words):
    """It looks at files, and that is all: it writes none."""
    project = generate(tmp_path, "random", 20)
    cold(project)
    project.envy(*words, trace=False)  # the first of an hour notes that it is used
    found = count(project, *words, calls=True)
    assert {name for name in found if name.startswith("call ")} <= {
        "call close", "call confstr", "call fspath", "call getcwd", "call lstat", "call open",
        "call read", "call scandir", "call stat", "call uname", "call _path_normpath",
    }  # fmt: skip
