"""The tests that the options of `envy test` select."""

from __future__ import annotations

from envy.cli.test_options import TestOptions
from envy.testing.package import NothingMatched
from envy.testing.results import LastRun
from envy.testing.selection import Selector, parse_filter, parse_partition


def make_selector(options: TestOptions, last_run: LastRun) -> Selector:
    """Return the selector for the options.

    Raises:
        NothingMatched: --failed is given, but nothing failed in the last run.
    """
    failed = last_run.failed() if options.failed else None
    if options.failed and not failed:
        known = "nothing failed in the last run" if failed is not None else "there is no last run"
        raise NothingMatched(f"--failed: {known}", hint="omit --failed to run all tests")
    return Selector(
        run=options.run,
        skip=options.skip,
        filter=parse_filter(options.filter) if options.filter else None,
        partition=parse_partition(options.partition) if options.partition else None,
        failed=failed,
    )
