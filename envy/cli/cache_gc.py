"""`envy cache gc`: remove what no project has used for long, or enough to fit a given size."""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import click

from envy.answers.write import basis_of
from envy.cache.collect import (
    DEFAULT_UNUSED_FOR,
    Collected,
    Rules,
    collect,
    collecting,
    empty_trash,
    forget_old_uses,
    plan,
)
from envy.cache.disk_usage import DiskUsage
from envy.cache.fit import Kept, Plan, fit, held_by_project, kept_otherwise
from envy.cache.inventory import other_sizes, take_inventory
from envy.cache.layout import CacheLayout
from envy.cache.lease import gate, leased_names
from envy.cache.leftovers import (
    ANSWER,
    DOWNLOAD,
    LOGS,
    RECIPE,
    TEST_BINARY,
    TEST_RESULT,
    WHEEL,
    Leftover,
    LeftoverDecision,
    decide_leftovers,
    find_leftovers,
    remove_leftovers,
)
from envy.cache.tidy import tidy
from envy.cache.usage import Uses, read_uses
from envy.cli.cache_root import cache_root
from envy.cli.exit_codes import FAILURE, SUCCESS
from envy.cli.options import envy_command
from envy.cli.settings import Settings
from envy.cli.waiting import wait_for
from envy.console.text import format_size, safe_line, safe_lines, write_line
from envy.errors import CacheError

_NOUNS = {
    RECIPE: ("recipe", "recipes"),
    ANSWER: ("answer", "answers"),
    DOWNLOAD: ("download", "downloads"),
    LOGS: ("logs of", "logs"),
    TEST_BINARY: ("test binary", "test binaries"),
    TEST_RESULT: ("test result", "test results"),
    WHEEL: ("wheel", "wheels"),
}
_MOST_PROJECTS = 10
_SPANS = {"m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


def parse_span(_context: object, _parameter: object, text: str | None) -> float | None:
    """Return the seconds of a time span such as 30d."""
    if text is None:
        return None
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([mhdw])", text.strip())
    if found is None:
        raise click.BadParameter(f"{text!r} is not a valid time span; write 30d, 12h, 2w or 90m")
    return float(found[1]) * _SPANS[found[2]]


def parse_size(_context: object, _parameter: object, text: str | None) -> int | None:
    """Return the bytes of a size such as 20G."""
    if text is None:
        return None
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?", text.strip(), re.IGNORECASE)
    if found is None:
        raise click.BadParameter(
            f"{text!r} is not a valid size; write 20G, 500M or a number of bytes"
        )
    return int(float(found[1]) * _UNITS[found[2].upper()])


@envy_command(
    short_help="Remove what no project has used for long.",
    examples=[
        ("envy cache gc", "remove what is unused for 30 days"),
        ("envy cache gc --unused-for 2w --dry-run", "show what two weeks would remove"),
        ("envy cache gc --max-size 20G", "also remove packages beyond 20 GB"),
    ],
)
@click.option(
    "--unused-for",
    callback=parse_span,
    metavar="SPAN",
    help="Remove what was not used for this long (30d, 12h, 2w). [default: 30d]",
)
@click.option(
    "--max-size",
    callback=parse_size,
    metavar="SIZE",
    help="Also remove more, oldest use first, until the whole cache fits (20G, 500M).",
)
@click.option(
    "--only-current", is_flag=True, help="Keep only what the last sync of each project used."
)
@click.option(
    "-n", "--dry-run", is_flag=True, help="Show what would be removed, without removing it."
)
def command(
    settings: Settings,
    unused_for: float | None,
    max_size: int | None,
    *,
    only_current: bool,
    dry_run: bool,
) -> int:
    """Remove packages that no project needs and that were not used for 30 days, oldest use first.

    What the last complete sync of a project needs to run stays, however old it is, as long as the
    project's manifest exists; `envy cache forget` ends that. Recipe files, logs, stored answers,
    test binaries and test results that were not used for that time are removed, too. gc never
    removes what a running command uses, nor what was used within a day. No manifest is read. A
    removed package is rebuilt when it is needed again.
    """
    layout = CacheLayout(cache_root(settings))
    rules = Rules(
        unused_for=DEFAULT_UNUSED_FOR if unused_for is None else unused_for,
        max_size=max_size,
        only_current=only_current,
    )
    if dry_run or not layout.root.is_dir():
        planned, problems = _plan(layout, read_uses(layout), rules)
        _report(settings, planned, rules, None if dry_run else _Done(Collected(), (), 0))
        return report_problems(problems)
    with collecting(layout, wait=wait_for):
        problems = attempt(lambda: empty_trash(layout))
        uses = read_uses(layout)
        planned, unreadable = _plan(layout, uses, rules)
        done = collect(layout, planned.entries, uses)
        gone, failed = remove_leftovers(layout, planned.leftovers)
        forget_old_uses(uses, rules)
        locks = tidy(layout, now=rules.now)
    _report(settings, planned, rules, _Done(done, gone, locks))
    return report_problems([*problems, *unreadable, *done.failed, *failed])


@dataclass(frozen=True, slots=True)
class _Done:
    entries: Collected
    leftovers: Sequence[LeftoverDecision]
    locks: int


def attempt(action: Callable[[], object]) -> list[CacheError]:
    """Do something whose failure must not keep the rest from being done; return the failure."""
    try:
        action()
    except CacheError as error:
        return [error]
    return []


def report_problems(problems: Sequence[CacheError]) -> int:
    """Print each problem with what was skipped, and return the exit code."""
    for line in (line for problem in problems for line in safe_lines(f"error: {problem}")):
        write_line(sys.stderr, line)
    return FAILURE if problems else SUCCESS


def _plan(layout: CacheLayout, uses: Uses, rules: Rules) -> tuple[Plan, list[CacheError]]:
    usage = DiskUsage()
    inventory = take_inventory(layout, usage)
    counted = usage.copy()
    found = find_leftovers(layout, basis_of, usage)
    rest = other_sizes(layout, inventory, counted)
    leased: set[str] = set()
    if inventory.entries or found:
        # In a cache that cannot be written nothing is leased; only the removal requires the gate.
        with contextlib.suppress(CacheError), gate(layout):
            leased = leased_names(layout)
    planned = Plan(
        entries=plan(inventory, uses, leased, rules),
        leftovers=decide_leftovers(found, leased, unused_for=rules.unused_for, now=rules.now),
        fixed=sum(rest.values()) - sum(leftover.size for leftover in found),
    )
    return planned if rules.max_size is None else fit(planned, rules.max_size), inventory.unreadable


def _report(settings: Settings, planned: Plan, rules: Rules, done: _Done | None = None) -> None:
    entries, others = planned.entries, planned.leftovers
    going = [decision for decision in entries if decision.remove]
    going_too = [decision for decision in others if decision.remove]
    gone = going if done is None else done.entries.removed
    gone_too = going_too if done is None else done.leftovers
    word = "goes" if done is None else "removed"
    for decision in entries:
        row = f"{format_size(decision.entry.size):>11}  {decision.entry.key}"
        _report_row(
            settings, word, row, decision.reason, goes=decision.remove, gone=decision in gone
        )
    for other in others:
        leftover = other.leftover
        row = f"{format_size(leftover.size):>11}  {_NOUNS[leftover.kind][0]} {_shown(leftover)}"
        _report_row(settings, word, row, other.reason, goes=other.remove, gone=other in gone_too)
    if settings.verbose and planned.fixed:
        row = f"{format_size(planned.fixed):>11}  folders, locks and records"
        write_line(sys.stdout, f"{'kept':8} {row}: the cache itself needs them")
    if done is not None and done.locks and settings.verbose:
        write_line(sys.stdout, f"removed  {_count(done.locks, 'lock file')} without an entry")
    freed = sum(v.entry.size for v in gone) + sum(r.leftover.size for r in gone_too)
    counted = [_count(len(gone), "entry", "entries")]
    for kind, nouns in _NOUNS.items():
        number = sum(decision.leftover.kind == kind for decision in gone_too)
        counted += [_count(number, *nouns)] if number else []
    rest = sum(v.entry.size for v in entries) - sum(v.entry.size for v in gone)
    write_line(
        sys.stdout,
        f"{'would free' if done is None else 'freed'} {format_size(freed)} ({freed} bytes, "
        f"{', '.join(counted)}); {format_size(rest)} left in {len(entries) - len(gone)}",
    )
    _explain_rest(planned, rules)


def _explain_rest(planned: Plan, rules: Rules) -> None:
    """Say what stays and why: the projects that hold entries, and the other reasons."""
    over = planned.rest - rules.max_size if rules.max_size is not None else 0
    held = held_by_project(planned.entries)
    if over > 0:
        write_line(sys.stdout, f"{format_size(over)} over --max-size, and nothing more can go:")
    for project, kept in list(held.items())[:_MOST_PROJECTS]:
        write_line(
            sys.stdout,
            f"{format_size(kept.size):>11}  in {_entries(kept)} that {safe_line(project)} needs",
        )
    if len(held) > _MOST_PROJECTS:
        write_line(sys.stdout, f"{'':11}  and {len(held) - _MOST_PROJECTS} more projects")
    for reason, kept in kept_otherwise(planned.entries).items():
        write_line(sys.stdout, f"{format_size(kept.size):>11}  in {_entries(kept)}: {reason}")
    if over > 0 and held:
        write_line(
            sys.stdout,
            "hint: `envy cache forget PROJECT` ends a project's hold, `envy cache rm QUERY` "
            "removes a package",
        )


def _entries(kept: Kept) -> str:
    return _count(kept.count, "entry", "entries")


def _report_row(
    settings: Settings, word: str, row: str, reason: str, *, goes: bool, gone: bool
) -> None:
    if gone:
        write_line(sys.stdout, f"{word:8} {row}: {reason}")
    elif goes:
        write_line(sys.stdout, f"{'kept':8} {row}: it is in use now, or cannot be removed")
    elif settings.verbose:
        write_line(sys.stdout, f"{'kept':8} {row}: {reason}")


def _shown(leftover: Leftover) -> str:
    name = leftover.name
    return safe_line(name if leftover.kind == ANSWER else name.partition("/")[2])


def _count(number: int, noun: str, plural: str = "") -> str:
    return f"{number} {noun if number == 1 else plural or noun + 's'}"
