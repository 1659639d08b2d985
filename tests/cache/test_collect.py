"""Which entries gc removes, and in which order: a pure function."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envy.cache.collect import DAY, Rules, plan
from envy.cache.inventory import EntryReport, Inventory
from envy.cache.layout import CacheLayout
from envy.cache.usage import BUILD, RUN, RecordedUse, Uses

NOW = 1_000 * DAY
LAYOUT = CacheLayout(Path("/cache"))


def entry(number, *, age, size=100, complete=True):
    paths = LAYOUT.entry("local.gn@r0", "linux-x86_64", f"{number:016x}" + "0" * 48)
    return EntryReport(
        paths=paths,
        identity="local.gn@r0",
        key=f"local.gn@r0{{n={number}}}",
        entry_key="0" * 64,
        complete=complete,
        size=size,
        changed_at=NOW - age * DAY,
    )


def uses(*rows):
    """Rows of (entry, purpose, age in days, current)."""
    found = Uses()
    for one, purpose, age, current in rows:
        use = RecordedUse(project="/p", purpose=purpose, at=NOW - age * DAY, current=current)
        found.by_entry.setdefault(one.paths.name, []).append(use)
    return found


def removed(entries, recorded=None, leased=(), **rules):
    decisions = plan(
        Inventory(entries=list(entries)), recorded or Uses(), set(leased), Rules(now=NOW, **rules)
    )
    return [decision.entry for decision in decisions if decision.remove]


def test_oldest_use_goes_first():
    """Entries unused for long are removed, the least recently used first."""
    one, two, three = entry(1, age=40), entry(2, age=90), entry(3, age=20)
    assert removed([one, two, three]) == [two, one]


def test_a_recorded_use_counts():
    """The last use decides, not the time of the build."""
    one = entry(1, age=400)
    assert removed([one], uses((one, RUN, 29, True))) == []
    assert removed([one], uses((one, RUN, 31, True))) == [one]


def test_leased_names_stay():
    """An entry that a running command uses stays under every rule."""
    one = entry(1, age=400)
    leased = [one.paths.name]
    assert removed([one], leased=leased, max_size=0, unused_for=0, only_current=True) == []


def test_entries_used_within_a_day_stay():
    """An entry used within the last day stays under every rule, and so does a failed attempt."""
    entries = [entry(1, age=0.9), entry(2, age=0.5, complete=False), entry(3, age=-9)]
    assert removed(entries, max_size=0, unused_for=0, only_current=True) == []


def test_failed_attempts_go_after_a_day():
    """An incomplete attempt is not kept as long as a package."""
    failed = entry(1, age=2, complete=False)
    assert removed([failed, entry(2, age=2)]) == [failed]


def test_only_current():
    """With --only-current, use by a project's last whole sync decides, whatever the age."""
    current, former = entry(1, age=100), entry(2, age=2)
    recorded = uses((current, RUN, 100, True), (former, RUN, 2, False))
    assert removed([current, former], recorded, only_current=True) == [former]


def test_down_to_a_size():
    """No more is removed than needed, the least recently used first."""
    entries = [entry(number, age=number + 2) for number in range(5)]
    assert removed(entries, max_size=250) == [entries[4], entries[3], entries[2]]


def test_a_size_keeps_entries_that_projects_run():
    """What a project needs to run stays; what it only needed to build is removed."""
    run, build = entry(1, age=20), entry(2, age=10)
    recorded = uses((run, RUN, 20, True), (build, BUILD, 10, True))
    assert removed([run, build], recorded, max_size=0) == [build]


@given(
    st.lists(st.tuples(st.floats(-5, 100), st.integers(0, 1000)), max_size=20),
    st.integers(0, 5000),
    st.floats(0, 60),
)
def test_a_size_is_reached_or_nothing_more_may_go(rows, size, unused_for):
    """The rest fits, or was used within the last day; each entry has a decision and a reason."""
    entries = [entry(number, age=age, size=size) for number, (age, size) in enumerate(rows)]
    rules = Rules(now=NOW, max_size=size, unused_for=unused_for * DAY)
    decisions = plan(Inventory(entries=entries), Uses(), set(), rules)
    left = [decision.entry for decision in decisions if not decision.remove]
    assert len(decisions) == len(entries)
    assert all(decision.reason for decision in decisions)
    assert sum(one.size for one in left) <= size or all(
        NOW - one.changed_at < DAY for one in left if one.size
    )


@pytest.mark.parametrize("rules", [{}, {"max_size": 0}, {"only_current": True}])
def test_nothing_to_collect(rules):
    """In an empty cache there is nothing to remove."""
    assert removed([], **rules) == []
