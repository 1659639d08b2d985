"""What gc removes in addition to fit a size, and what it says of the rest: pure functions."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from envy.cache.collect import DAY, EntryDecision
from envy.cache.fit import Kept, Plan, fit, held_by_project, kept_otherwise
from envy.cache.inventory import EntryReport
from envy.cache.layout import CacheLayout
from envy.cache.leftovers import LOGS, RECIPE, TEST_BINARY, Leftover, LeftoverDecision

LAYOUT = CacheLayout(Path("/cache"))


def entry(number, *, at=0.0, size=100, remove=False, spared=False, held_by=()):
    paths = LAYOUT.entry("local.gn@r0", "linux-x86_64", f"{number:016x}" + "0" * 48)
    report = EntryReport(
        paths=paths,
        identity="local.gn@r0",
        key=f"local.gn@r0{{n={number}}}",
        entry_key="0" * 64,
        complete=True,
        size=size,
        changed_at=at,
    )
    return EntryDecision(
        entry=report, remove=remove, reason="r", used_at=at, spared=spared, held_by=held_by
    )


def leftover(kind, *, at=0.0, size=100, spared=False):
    found = Leftover(kind=kind, path=f"/{kind}{at}", name=kind, size=size, time=at, used_at=at)
    return LeftoverDecision(leftover=found, remove=False, reason="r", spared=spared)


def removed(plan, size):
    fitted = fit(plan, size)
    return [row.used_at for row in fitted.entries if row.remove] + [
        row.leftover.used_at for row in fitted.leftovers if row.remove
    ]


def test_the_oldest_use_goes_first_and_no_more_than_needed():
    """Entries and test binaries go in the order of their last use, until the rest fits."""
    plan = Plan(
        entries=[entry(1, at=1), entry(2, at=3), entry(3, at=4)],
        leftovers=[leftover(TEST_BINARY, at=2)],
        fixed=10,
    )
    assert removed(plan, 410) == []
    assert removed(plan, 409) == [1]
    assert removed(plan, 210) == [1, 2]
    assert removed(plan, 209) == [1, 3, 2]
    assert removed(plan, 0) == [1, 3, 4, 2]


def test_what_is_needed_stays_and_so_do_recipe_files():
    """What is spared stays whatever the size, and recipe files would have to be fetched again."""
    plan = Plan(
        entries=[entry(1, spared=True, held_by=("/p",)), entry(2, at=1)],
        leftovers=[leftover(RECIPE), leftover(LOGS, at=2), leftover(LOGS, at=3, spared=True)],
        fixed=0,
    )
    assert removed(plan, 0) == [1, 2]


@given(
    st.lists(st.tuples(st.floats(0, 100), st.integers(0, 1000), st.booleans()), max_size=20),
    st.integers(0, 5000),
)
def test_a_size_is_reached_or_nothing_more_may_go(rows, size):
    """The rest fits, or is spared."""
    plan = Plan(
        entries=[
            entry(number, at=at * DAY, size=bytes_, spared=spared)
            for number, (at, bytes_, spared) in enumerate(rows)
        ],
        leftovers=[],
        fixed=7,
    )
    fitted = fit(plan, size)
    left = [row for row in fitted.entries if not row.remove]
    assert fitted.rest == sum(row.entry.size for row in left) + 7
    assert fitted.rest <= size or all(row.spared for row in left)


def test_what_each_project_holds():
    """A shared entry counts for each project; what no project holds is listed by its reason."""
    rows = [
        entry(1, size=5, spared=True, held_by=("/a", "/b")),
        entry(2, size=7, spared=True, held_by=("/b",)),
        entry(3, size=9, spared=True),
        entry(4, size=1),
        entry(5, size=3, remove=True),
    ]
    assert list(held_by_project(rows).items()) == [
        ("/b", Kept(size=12, count=2)),
        ("/a", Kept(size=5, count=1)),
    ]
    assert kept_otherwise(rows) == {
        "r": Kept(size=9, count=1),
        "built or used not long ago": Kept(size=1, count=1),
    }
