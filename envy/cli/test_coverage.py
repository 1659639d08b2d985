"""The reports of `envy test --coverage`, and merging what several runs have measured."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from envy.cli.settings import Settings
from envy.cli.test_options import TestOptions
from envy.cli.test_setup import check_writable
from envy.console.text import safe_lines, write_line
from envy.errors import EnvyError, UsageError
from envy.testing.coverage.lcov import lcov_of
from envy.testing.coverage.measured import not_measured, parts_of
from envy.testing.coverage.model import PackageCoverage, merged, merged_files
from envy.testing.coverage.page import page_of
from envy.testing.coverage.report import coverage_lines, missing_coverage
from envy.testing.coverage.stored import json_of, read_json

_PRINTED = ("total", "func")
_WRITTEN = {"html": "coverage.html", "lcov": "coverage.info", "json": "coverage.json"}


def report_files(formats: str) -> Iterator[tuple[str, Path]]:
    """Yield the format and the path of each report that is to be written.

    Raises:
        UsageError: a format is not known.
    """
    for word in formats.split(",") if formats else ():
        name, has_path, path = word.partition(":")
        if name in _WRITTEN and not (has_path and not path):
            yield name, Path(path or _WRITTEN[name])
        elif word not in _PRINTED:
            raise UsageError(
                f"--coverage: {word!r} is not a format",
                hint=f"{', '.join((*_PRINTED, *_WRITTEN))}, or several with commas; a file may "
                "follow, as in html:FILE",
            )


def check_reports(options: TestOptions) -> None:
    """Check that all reports can be written, before anything runs.

    Raises:
        UsageError: one cannot, or a format is not known.
    """
    for _name, path in report_files(options.coverage):
        check_writable(path)


def notes_on(options: TestOptions, driver: object) -> Iterator[str]:
    """Yield what --coverage and --sanitize have no effect on, by the names of drivers."""
    unmeasured = not_measured(driver) if options.coverage else []
    if unmeasured:
        yield f"--coverage has no effect on tests of {', '.join(unmeasured)}"
    names = [str(getattr(part, "name", "")) for part in parts_of(driver)]
    others = [name for name in names if name != "native"]
    if options.sanitize and others:
        yield f"--sanitize has no effect on tests of {', '.join(others)}"


def write_reports(
    options: TestOptions, packages: Sequence[PackageCoverage] | None, root: Path
) -> None:
    """Write the reports that are asked for; sources are below `root`."""
    for name, path in report_files(options.coverage) if packages is not None else ():
        assert packages is not None
        if name == "json":
            text = json_of(packages)
        elif name == "lcov":
            text = lcov_of(merged_files(packages))
        else:
            text = page_of(merged_files(packages), root)
        try:
            path.write_text(text, encoding="utf-8", errors="surrogateescape")
        except OSError as error:
            raise EnvyError(f"cannot write {path}: {error.strerror}") from error


def merge_coverage(settings: Settings, options: TestOptions) -> int:
    """Report what several runs have measured, from their JSON files."""
    if not options.patterns:
        raise UsageError(
            "--merge-coverage needs files",
            hint="such as `envy test --merge-coverage 1.json 2.json`",
        )
    packages = merged(one for name in options.patterns for one in read_json(Path(name)))
    check_reports(options)
    write_reports(options, packages, Path.cwd())
    missed = missing_coverage(packages, options.min_coverage)
    lines = coverage_lines(packages, options.coverage)
    for line in [*lines, *([missed] if missed else [])]:
        for safe in safe_lines(line) if not settings.quiet or line == missed else ():
            write_line(sys.stdout, safe)
    return int(bool(missed))
