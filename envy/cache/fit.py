"""What gc removes in addition so that the cache fits `--max-size`, and what is kept for whom.

Pure functions of the decisions that age led to.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

from envy.cache.collect import EntryDecision
from envy.cache.leftovers import (
    DOWNLOAD,
    LOGS,
    TEST_BINARY,
    TEST_RESULT,
    WHEEL,
    LeftoverDecision,
)

_NOT_LONG_AGO = "built or used not long ago"
_TOO_LARGE = "the cache exceeds --max-size"
# Recipe files and answers are small, and removing them would cost a download.
_REMOVABLE = {DOWNLOAD, LOGS, TEST_BINARY, TEST_RESULT, WHEEL}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A decision for everything in the cache; sizes are bytes on the disk.

    `fixed` is the size of what gc never removes, such as lock files and records.
    """

    entries: Sequence[EntryDecision]
    leftovers: Sequence[LeftoverDecision]
    fixed: int

    @property
    def rest(self) -> int:
        """The size of everything that is not removed."""
        rest = sum(decision.entry.size for decision in self.entries if not decision.remove)
        rest += sum(found.leftover.size for found in self.leftovers if not found.remove)
        return rest + self.fixed


def fit(plan: Plan, max_size: int) -> Plan:
    """Return a plan that removes more, the oldest use first, until the rest fits.

    What a project needs, a running command uses, or was used within a day stays in any case.
    """
    excess = plan.rest - max_size
    entries, leftovers = list(plan.entries), list(plan.leftovers)
    candidates = [
        *((row.used_at, row.entry.paths.location, index, True)
          for index, row in enumerate(entries) if not row.remove and not row.spared),
        *((found.leftover.used_at, found.leftover.path, index, False)
          for index, found in enumerate(leftovers)
          if not found.remove and not found.spared and found.leftover.kind in _REMOVABLE),
    ]  # fmt: skip
    for _, _, index, is_entry in sorted(candidates):
        if excess <= 0:
            break
        if is_entry:
            row = entries[index]
            reason = f"{row.reason}; {_TOO_LARGE}"
            entries[index] = dataclasses.replace(row, remove=True, reason=reason)
            excess -= row.entry.size
        else:
            found = leftovers[index]
            reason = f"{found.reason}; {_TOO_LARGE}"
            leftovers[index] = dataclasses.replace(found, remove=True, reason=reason)
            excess -= found.leftover.size
    return Plan(entries=entries, leftovers=leftovers, fixed=plan.fixed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """How much stays for one reason: the size in bytes, and the number of entries."""

    size: int
    count: int


def held_by_project(entries: Sequence[EntryDecision]) -> dict[str, Kept]:
    """Return what each project holds, the largest first; a shared entry counts for each."""
    held: dict[str, Kept] = {}
    for decision in entries:
        if not decision.remove:
            for project in decision.held_by:
                _add(held, project, decision.entry.size)
    return dict(sorted(held.items(), key=lambda row: (-row[1].size, row[0])))


def kept_otherwise(entries: Sequence[EntryDecision]) -> dict[str, Kept]:
    """Return what stays although no project holds it, by reason, the largest first."""
    kept: dict[str, Kept] = {}
    for decision in entries:
        if not decision.remove and not decision.held_by:
            reason = decision.reason if decision.spared else _NOT_LONG_AGO
            _add(kept, reason, decision.entry.size)
    return dict(sorted(kept.items(), key=lambda row: (-row[1].size, row[0])))


def _add(kept: dict[str, Kept], name: str, size: int) -> None:
    before = kept.get(name, Kept(size=0, count=0))
    kept[name] = Kept(size=before.size + size, count=before.count + 1)
