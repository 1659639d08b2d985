"""The tests that the options of `envy test` select."""

from __future__ import annotations

from pathlib import Path

from envy.cli.test_options import TestOptions
from envy.errors import UsageError
from envy.testing.known_times import check_times, read_times
from envy.testing.package import NothingMatched
from envy.testing.partitions import Partition, parse_partition
from envy.testing.results import LastRun
from envy.testing.selection import Predicate, Selector, parse_filter


def make_selector(options: TestOptions, last_run: LastRun) -> Selector:
    """Return the selector for the options.

    Raises:
        NothingMatched: --failed is given, but nothing failed in the last run.
    """
    failed = last_run.failed() if options.failed else None
    if options.failed and not failed:
        known = "nothing failed in the last run" if failed is not None else "there is no last run"
        raise NothingMatched(f"--failed: {known}", hint="omit --failed to run all tests")
    wanted = parse_filter(options.filter) if options.filter else None
    return Selector(
        run=options.run,
        skip=options.skip,
        filter=wanted,
        partition=_partition(options, wanted),
        failed=failed,
    )


def check_times_options(options: TestOptions) -> None:
    """Check the options about durations before anything runs.

    Raises:
        UsageError: They do not fit others, or a file cannot be read or written.
    """
    if options.durations and not options.partition:
        raise UsageError("--durations needs --partition duration:M/N")
    if not options.save_durations:
        return
    for name, given in (
        ("--load", bool(options.load)),
        ("--list", options.list_matching is not None),
        ("--build-only", options.build_only),
    ):
        if given:
            raise UsageError(f"--save-durations needs a run of tests; omit {name}")
    check_times(Path(options.save_durations))


def _partition(options: TestOptions, wanted: Predicate | None) -> Partition | None:
    if not options.partition:
        return None
    times = read_times(map(Path, options.durations)) if options.durations else None
    return parse_partition(options.partition, times, wanted)
