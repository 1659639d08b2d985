"""Which entries gc removes, and in which order: a pure function."""

from pathlib import Path

import pytest

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


def uses(*rows, holds=False):
    """Rows of (entry, purpose, age in days, current)."""
    found = Uses()
    for one, purpose, age, current in rows:
        use = RecordedUse(
            project="/p",
            purpose=purpose,
            at=NOW - age * DAY,
            current=current,
            holds=holds and purpose == RUN,
        )
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
    assert removed([one], leased=leased, unused_for=0, only_current=True) == []


def test_entries_used_within_a_day_stay():
    """An entry used within the last day stays under every rule, and so does a failed attempt."""
    entries = [entry(1, age=0.9), entry(2, age=0.5, complete=False), entry(3, age=-9)]
    assert removed(entries, unused_for=0, only_current=True) == []


def test_failed_attempts_go_after_a_day():
    """An incomplete attempt is not kept as long as a package."""
    failed = entry(1, age=2, complete=False)
    assert removed([failed, entry(2, age=2)]) == [failed]


def test_only_current():
    """With --only-current, use by a project's last whole sync decides, whatever the age."""
    current, former = entry(1, age=100), entry(2, age=2)
    recorded = uses((current, RUN, 100, True), (former, RUN, 2, False))
    assert removed([current, former], recorded, only_current=True) == [former]


def test_what_a_project_needs_stays():
    """What the last whole sync of an existing project runs stays under every rule."""
    run, build = entry(1, age=400), entry(2, age=400)
    recorded = uses((run, RUN, 400, True), (build, BUILD, 400, True), holds=True)
    assert removed([run, build], recorded) == [build]
    assert removed([run], recorded, unused_for=0, only_current=True) == []
    [decision] = plan(Inventory(entries=[run]), recorded, set(), Rules(now=NOW))
    assert decision.held_by == ("/p",)
    assert decision.reason == "/p needs it"


def test_a_failed_attempt_is_held_by_nobody():
    """An attempt that did not complete goes after a day, though a project needs the package."""
    failed = entry(1, age=2, complete=False)
    assert removed([failed], uses((failed, RUN, 2, True), holds=True)) == [failed]


@pytest.mark.parametrize("rules", [{}, {"only_current": True}])
def test_nothing_to_collect(rules):
    """In an empty cache there is nothing to remove."""
    assert removed([], **rules) == []
