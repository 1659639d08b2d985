"""`envy cache gc`: let go of what no project has used for long, or of as much as is asked for."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence

import click

from envy.cache.collect import (
    DEFAULT_UNUSED_FOR,
    Collected,
    Rules,
    Verdict,
    collect,
    collecting,
    empty_trash,
    forget_old_uses,
    plan,
)
from envy.cache.inventory import take_inventory
from envy.cache.layout import CacheLayout
from envy.cache.lease import gate, leased_entries
from envy.cache.usage import Uses, read_uses
from envy.cli.cache_root import cache_root
from envy.cli.options import envy_command
from envy.cli.settings import Settings
from envy.console.text import format_size, write_line

_SPANS = {"m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


def parse_span(_context: object, _parameter: object, text: str | None) -> float | None:
    """Seconds of a span such as 30d."""
    if text is None:
        return None
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([mhdw])", text.strip())
    if found is None:
        raise click.BadParameter(f"{text!r} is no span of time; write 30d, 12h, 2w or 90m")
    return float(found[1]) * _SPANS[found[2]]


def parse_size(_context: object, _parameter: object, text: str | None) -> int | None:
    """Bytes of a size such as 20G."""
    if text is None:
        return None
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?", text.strip(), re.IGNORECASE)
    if found is None:
        raise click.BadParameter(f"{text!r} is no size; write 20G, 500M or a number of bytes")
    return int(float(found[1]) * _UNITS[found[2].upper()])


@envy_command(short_help="Remove what no project has used for long.")
@click.option(
    "--unused-for",
    callback=parse_span,
    metavar="SPAN",
    help="Remove what was not used for so long (30d, 12h, 2w). [default: 30d]",
)
@click.option(
    "--max-size",
    callback=parse_size,
    metavar="SIZE",
    help="Also remove, oldest use first, until the cache is no larger (20G, 500M).",
)
@click.option("--only-current", is_flag=True, help="Keep only what projects' last syncs used.")
@click.option("-n", "--dry-run", is_flag=True, help="Say what would go, and remove nothing.")
def command(
    settings: Settings,
    unused_for: float | None,
    max_size: int | None,
    *,
    only_current: bool,
    dry_run: bool,
) -> None:
    """Remove packages that no sync of a known project has used for 30 days, oldest use first.

    What a running command relies upon, what was used within a day, and with --max-size what a
    project needs to run, is never removed. No manifest is read. A removed package is made anew
    when it is needed again.
    """
    layout = CacheLayout(cache_root(settings))
    rules = Rules(
        unused_for=DEFAULT_UNUSED_FOR if unused_for is None else unused_for,
        max_size=max_size,
        only_current=only_current,
    )
    if dry_run or not layout.root.is_dir():
        verdicts = _verdicts(layout, read_uses(layout), rules)
        going = [verdict for verdict in verdicts if verdict.goes]
        _tell(settings, verdicts)
        _sum_up("would free", sum(v.entry.size for v in going), going, verdicts)
        return
    with collecting(layout):
        empty_trash(layout)
        uses = read_uses(layout)
        verdicts = _verdicts(layout, uses, rules)
        done = collect(layout, verdicts, uses)
        forget_old_uses(uses, rules)
    _tell(settings, verdicts, done)
    _sum_up("freed", done.freed, done.removed, verdicts)


def _verdicts(layout: CacheLayout, uses: Uses, rules: Rules) -> list[Verdict]:
    inventory = take_inventory(layout)
    leased: set[str] = set()
    if inventory.entries:
        with gate(layout):
            leased = leased_entries(layout)
    return plan(inventory, uses, leased, rules)


def _tell(settings: Settings, verdicts: Sequence[Verdict], done: Collected | None = None) -> None:
    removed = [verdict for verdict in verdicts if verdict.goes] if done is None else done.removed
    spared = [] if done is None else done.spared
    for verdict in verdicts:
        row = f"{format_size(verdict.entry.size):>11}  {verdict.entry.key}: "
        if verdict in spared:
            write_line(sys.stdout, f"kept     {row}it is in use after all")
        elif verdict in removed:
            write_line(
                sys.stdout,
                f"removed  {row}{verdict.reason}" if done else f"goes     {row}{verdict.reason}",
            )
        elif settings.verbose:
            write_line(sys.stdout, f"kept     {row}{verdict.reason}")


def _sum_up(word: str, freed: int, removed: Sequence[Verdict], verdicts: Sequence[Verdict]) -> None:
    rest = sum(verdict.entry.size for verdict in verdicts) - freed
    noun = "entry" if len(removed) == 1 else "entries"
    write_line(
        sys.stdout,
        f"{word} {format_size(freed)} ({freed} bytes, {len(removed)} {noun}); "
        f"{format_size(rest)} left in {len(verdicts) - len(removed)}",
    )
