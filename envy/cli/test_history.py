"""`envy test --history`: how long tests took in their last runs, and how these ended."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from envy.cli.output import print_data
from envy.cli.test_options import TestOptions
from envy.cli.test_setup import RunContext
from envy.console.text import format_seconds, safe_line, write_line
from envy.errors import UsageError
from envy.masking import masked, masked_data
from envy.testing.history import RUNS_KEPT, TestHistory
from envy.testing.package import NothingMatched
from envy.testing.selection import parse_filter

_SHOWN = 10  # rows of each list, unless --slowest gives another number


def check_history(options: TestOptions) -> None:
    """Check that no option asks for a run beside --history.

    Raises:
        UsageError: One does.
    """
    for name, given in (
        ("patterns", bool(options.patterns)),
        ("--load", bool(options.load)),
        ("--list", options.list_matching is not None),
        ("--run", bool(options.run)),
        ("--skip", bool(options.skip)),
        ("--failed", options.failed),
        ("--changed", bool(options.changed)),
        ("--partition", bool(options.partition)),
        ("--save-durations", bool(options.save_durations)),
        ("--coverage", bool(options.coverage)),
        ("--merge-coverage", options.merge_coverage),
        ("--junit", bool(options.junit)),
        ("--watch", options.watch),
        ("--legacy", options.legacy),
        ("--tui always", options.tui == "always"),
    ):
        if given:
            raise UsageError(
                f"--history runs no tests; omit {name}",
                hint="--filter selects tests of the history, --slowest gives the number of rows",
            )


def show_history(context: RunContext) -> int:
    """Print the history of the project's tests.

    Raises:
        NothingMatched: No run of a selected test is known.
    """
    options = context.options
    wanted = parse_filter(options.filter) if options.filter else None
    found = [one for one in context.history.all() if not wanted or wanted(one.package, one.test)]
    if not found:
        whose = "these tests" if options.filter else "tests in this folder"
        raise NothingMatched(f"--history: no run of {whose} is known", hint="run them: envy test")
    found.sort(key=lambda one: (-(one.usual or 0.0), one.package, one.test))
    if options.json:
        rows = {"tests": [_row(one) for one in found]}
        _write_json(options.json, json.dumps(masked_data(rows), indent=2))
        return 0
    for line in history_lines(found, options.slowest or _SHOWN):
        write_line(sys.stdout, safe_line(masked(line)))
    return 0


def history_lines(found: Sequence[TestHistory], shown: int) -> Iterator[str]:
    """Yield the lines of the lists: the slowest tests, those that became slower, flaky ones."""
    slowest = [one for one in found if one.usual is not None]
    yield f"slowest tests, by the median of up to {RUNS_KEPT} runs:"
    for one in slowest[:shown]:
        yield f"  {one.usual:8.2f}s  {_name(one)}  ({_runs(len(one.passes))})"
    yield from _rest(len(slowest), shown)
    slower = [(one.change, one) for one in found if one.is_slower]
    ordered = sorted(
        ((change, one) for change, one in slower if change is not None),
        key=lambda row: (row[0][0] - row[0][1], _name(row[1])),
    )
    yield "slower in their last runs than before:" if ordered else "no test has become slower"
    for (before, now), one in ordered[:shown]:
        yield f"  {before:8.2f}s → {now:.2f}s  {_name(one)}  ({_runs(len(one.passes))})"
    yield from _rest(len(ordered), shown)
    flaky = sorted(
        (one for one in found if one.count("flaky")),
        key=lambda one: (-one.count("flaky"), _name(one)),
    )
    yield "flaky, passed only when run again:" if flaky else "no test was flaky"
    for one in flaky[:shown]:
        failed = f", failed in {one.count('fail')}" if one.count("fail") else ""
        yield f"  {one.count('flaky'):3d} of {_runs(len(one.outcomes))}  {_name(one)}{failed}"
    yield from _rest(len(flaky), shown)
    whole = sum(one.usual or 0.0 for one in found)
    tests = f"{len(found)} test{'' if len(found) == 1 else 's'}"
    yield f"{tests}, {format_seconds(whole)} in all"


def _rest(number: int, shown: int) -> Iterator[str]:
    if number > shown:
        yield f"  … and {number - shown} more"


def _runs(number: int) -> str:
    return f"{number} run{'' if number == 1 else 's'}"


def _name(one: TestHistory) -> str:
    return f"{one.package}.{one.test}"


def _row(one: TestHistory) -> dict[str, Any]:
    before, now = (round(seconds, 4) for seconds in one.change) if one.change else (None, None)
    return {
        "package": one.package,
        "test": one.test,
        "seconds": round(one.usual, 4) if one.usual is not None else None,
        "before": before,
        "now": now,
        "slower": one.is_slower,
        "runs": len(one.outcomes),
        "flaky": one.count("flaky"),
        "failed": one.count("fail"),
        "skipped": one.count("skip"),
        "times": list(one.seconds),
        "last_run": datetime.fromtimestamp(one.last_run, tz=UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }


def _write_json(target: str, text: str) -> None:
    if target == "-":
        print_data(text)
        return
    try:
        Path(target).write_text(f"{text}\n", encoding="utf-8")
    except OSError as error:
        raise UsageError(f"cannot write {target}: {error.strerror}") from error
