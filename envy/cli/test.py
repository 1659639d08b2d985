"""The command `envy test`: build tests in parallel, then run them in order."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from envy.cli.options import EnvyCommand, Invocation, envy_command
from envy.cli.settings import Settings
from envy.cli.test_changed import check_changed
from envy.cli.test_coverage import check_reports, merge_coverage
from envy.cli.test_drivers import clean_native, make_toolchains, open_driver
from envy.cli.test_options import TestOptions
from envy.cli.test_run import run_once
from envy.cli.test_selection import check_times_options, make_selector
from envy.cli.test_setup import RunContext, make_views, open_context, patterns_of
from envy.console.text import format_size, safe_lines, write_line
from envy.errors import UsageError
from envy.extras import missing_extra
from envy.testing.durations import parse_duration
from envy.testing.naming import find_tests
from envy.testing.package import NothingMatched, Selection, TestPackage
from envy.testing.patterns import check_pattern
from envy.testing.result_cache import clean_results
from envy.testing.results import read_run

_OPTIONAL_VALUES = {"--json": "-", "--list": ".", "--coverage": "total"}


class TestCommand(EnvyCommand):
    """Parses Go's own flags, with one dash or two, before click parses envy's options."""

    __test__ = False

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Divide the words, and put Go's flags into the context."""
        from envy.testing.drivers.go_flags import flags_of_tests, split_words

        words_of_test = tuple(args)
        options = [p for p in self.get_params(ctx) if isinstance(p, click.Option)]
        names = {name for option in options for name in option.opts}
        with_value = {
            name
            for option in options
            if not option.is_flag
            for name in option.opts
            if name not in _OPTIONAL_VALUES and name != "--trace"
        }
        invocation = ctx.find_object(Invocation)
        environment = invocation.environment if invocation is not None else {}
        rest, flags, arguments = split_words(
            [*flags_of_tests(environment.get("GOFLAGS", "")), *args],
            own={name for name in names if name[:2] == "--"},
            own_with_value=with_value,
        )
        # Options before the command's name are not among its words.
        plain = invocation is None or not invocation.given
        ctx.meta["words"] = words_of_test if plain else None
        ctx.meta["go_flags"] = tuple(flags)
        ctx.meta["arguments"] = arguments
        words = [f"{word}={_OPTIONAL_VALUES[word]}" if word in _OPTIONAL_VALUES else word
                 for word in rest]  # fmt: skip
        return super().parse_args(ctx, words)


class Duration(click.ParamType):  # type: ignore[type-arg,unused-ignore]
    """Seconds, given as a duration in Go's notation."""

    name = "duration"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Parse the duration into seconds."""
        if isinstance(value, float):
            return value
        try:
            return parse_duration(value, option=f"--{param.name}" if param else "the duration")
        except UsageError as error:
            self.fail(error.message, param, ctx)


_Function = TypeVar("_Function", bound=Callable[..., Any])
_DURATION = Duration()
_NUMBER = click.IntRange(min=0)
_POSITIVE = click.IntRange(min=1)


def _option(*names: str, **attributes: Any) -> Callable[[_Function], _Function]:
    return click.option(*names, **attributes)


@envy_command(
    short_help="Build tests in parallel, then run them in order.",
    examples=[
        ("envy test", "every package below the current folder"),
        ("envy test ./parser/... -race --run Parse", "some tests, with the race detector"),
        ("envy test --failed", "the tests that failed in the last run"),
        ("envy test --junit report.xml --retries 2", "in continuous integration"),
    ],
    cls=TestCommand,
)
@click.argument("patterns", nargs=-1, metavar="[PATTERN]...")
@_option("--run", default="", metavar="RE", help="Run only matching tests.")
@_option("--skip", default="", metavar="RE", help="Skip matching tests.")
@_option("--failed", is_flag=True, help="Run the tests that failed in the last run.")
@_option(
    "--filter", default="", metavar="EXPR", help="Select by package(GLOB), test(GLOB), & | ! ( )."
)
@_option("--partition", default="", metavar="HOW:M/N",
         help="Run part M of N, by hash or by duration.")  # fmt: skip
@_option("--durations", multiple=True, metavar="FILE",
         help="Durations for --partition duration:M/N; may be given several times.")  # fmt: skip
@_option("--save-durations", default="", metavar="FILE",
         help="Add the durations of this run to a file.")  # fmt: skip
@_option("--changed", default=None, metavar="REF",
         help="Run only what changes since a revision of git can affect.")  # fmt: skip
@_option("--list", "list_matching", metavar="[=RE]", help="List the tests without running them.")
@_option("--build-only", is_flag=True, help="Build the tests without running them.")
@_option(
    "--build-jobs", type=_POSITIVE, metavar="N", help="Run N compilers at once (default: cores)."
)
@_option("--max-fails", type=_NUMBER, default=0, metavar="N", help="Stop after N failed tests.")
@_option("--isolate", is_flag=True, help="Give each test a process of its own.")
@_option(
    "--timeout", type=_DURATION, default="10m", metavar="D", help="Time limit of a test (10m)."
)
@_option("--total-timeout", type=_DURATION, default="0", metavar="D", help="Time limit of the run.")
@_option("--slow", type=_DURATION, default="0", metavar="D", help="Report tests that take longer.")
@_option(
    "--retries",
    type=_NUMBER,
    default=0,
    metavar="N",
    help="Run a failed test again, up to N times.",
)
@_option("--flaky", type=click.Choice(["pass", "fail"]), default="pass",
         help="The result of a test that passes in a retry.")  # fmt: skip
@_option("--count", type=_POSITIVE, metavar="N",
         help="Run each test N times, whatever is remembered.")  # fmt: skip
@_option("--rerun", is_flag=True, help="Run the tests, whatever is remembered.")
@_option("--no-cache", is_flag=True, help="Rebuild and run the tests; keep no results.")
@_option("--explain", is_flag=True, help="Say why each package was run, or was not.")
@_option("--clean-cache", is_flag=True, help="Remove the kept binaries and results, and exit.")
@_option("--stop-on-build-error", is_flag=True, help="Run nothing if a package fails to build.")
@_option("--tui", type=click.Choice(["auto", "always", "never"]), default="auto",
         help="When to show the terminal view.")  # fmt: skip
@_option("--json", default="", metavar="[=FILE]", help="Write events in the format of test2json.")
@_option("--junit", default="", metavar="FILE", help="Write a JUnit report.")
@_option("--load", default="", metavar="FILE", help="Show a saved run (--json=FILE).")
@_option("--history", is_flag=True, help="Show slow, slower and flaky tests of earlier runs.")
@_option("--show-output", type=click.Choice(["failed", "all", "none"]), default="failed",
         help="The tests whose output is shown.")  # fmt: skip
@_option("--slowest", type=_NUMBER, default=0, metavar="N", help="List the N slowest tests.")
@_option("--profile", is_flag=True, help="Show the time of each phase.")
@_option("--coverage", default="", metavar="[=FORMAT]",
         help="Measure coverage; FORMAT is func, html, lcov or json, and :FILE.")  # fmt: skip
@_option("--min-coverage", type=click.FloatRange(0, 100), default=0, metavar="N",
         help="Fail if less than N percent are covered.")  # fmt: skip
@_option("--merge-coverage", is_flag=True,
         help="Report the coverage in these files, from --coverage=json:FILE.")  # fmt: skip
@_option("--sanitize", default="", metavar="KIND",
         help="Check native tests with a sanitizer: address, undefined, thread.")  # fmt: skip
@_option("--remote-exec", is_flag=True, help="Run tests on the server of --remote.")
@_option("--remote-jobs", type=_POSITIVE, default=16, metavar="N",
         help="Run N test programs there at once (16).")  # fmt: skip
@_option("--watch", is_flag=True, help="Run again when a file changes.")
@_option("--legacy", is_flag=True, help="Run plain `go test -json`.")
def command(settings: Settings, *, clean_cache: bool, **given: Any) -> int:
    """Build the tests of Go, C and recipes in parallel, then run them one package after another.

    PATTERN is ./... (the default), a folder, folder/..., an import path, or a test file. Go's own
    flags (-race -tags=x -run=X -short …) are passed to the build, the test binary, or both.
    Arguments after -- or -args are passed to the test binary.

    Exit codes: 0 all passed, 1 a test failed, 2 usage error, 3 a package failed to build, 4 nothing
    matched, 130 interrupted.
    """
    parsed = click.get_current_context().meta
    changed = given.pop("changed")
    if changed == "":
        raise UsageError("--changed needs a revision of git", hint="such as --changed main")
    if given["min_coverage"] and not given["coverage"]:
        given["coverage"] = "total"
    options = TestOptions(
        **given,
        changed=changed or "",
        go_flags=parsed["go_flags"],
        arguments=parsed["arguments"],
        words=parsed["words"],
    )
    if _needs_all(settings, options):
        options = dataclasses.replace(options, words=None)
    _check(options)
    if options.merge_coverage:
        return merge_coverage(settings, options)
    if options.load:
        return show_saved(settings, options)
    check_reports(options)
    with open_context(settings, options) as context:
        if clean_cache:
            freed = context.store.clean() + clean_native(context)
            freed += clean_results(context.results.root)
            write_line(sys.stdout, f"freed {freed} bytes ({format_size(freed)})")
            return 0
        if options.history:
            from envy.cli.test_history import show_history

            return show_history(context)
        return _work(context)


def _needs_all(settings: Settings, options: TestOptions) -> bool:
    """Return whether a remembered run says too little: it rests on other files, or writes one."""
    traced = settings.traces or settings.locked
    return bool(traced or options.durations or options.save_durations)


def _work(context: RunContext) -> int:
    options = context.options
    if options.list_matching is not None:
        return show_list(context)
    if options.legacy:
        from envy.cli.test_legacy import run_legacy

        return run_legacy(context)
    if wants_tui(options):
        from envy.cli.test_tui import run_in_tui

        return run_in_tui(context)
    if options.watch:
        from envy.cli.test_watch import watch

        return watch(context, run_once)
    return run_once(context).exit_code


def _check(options: TestOptions) -> None:
    for name, pattern in (("--run", options.run), ("--skip", options.skip)):
        check_pattern(pattern, option=name)
    if options.list_matching is not None:
        check_pattern(options.list_matching, option="--list")
    if options.history:
        from envy.cli.test_history import check_history

        check_history(options)
    check_changed(options)
    check_times_options(options)
    if options.load and (options.patterns or options.watch or options.legacy):
        raise UsageError("--load shows a saved run; it cannot run tests")
    printed = set(options.coverage.split(",")) <= {"", "total"}
    if (options.load or options.legacy) and (options.min_coverage or not printed):
        raise UsageError(
            "reports of coverage and --min-coverage need a run of envy's own",
            hint="omit --load or --legacy",
        )
    if options.remote_exec and (options.load or options.legacy):
        raise UsageError("--remote-exec needs a run of envy's own", hint="omit --load or --legacy")


def show_list(context: RunContext) -> int:
    """Print `package.Test` for each test that would run, without building anything."""
    options = context.options
    toolchains = make_toolchains(context)
    with open_driver(context, toolchains, options.patterns) as driver:
        packages = find_tests(driver, patterns_of(options.patterns))
    selector = make_selector(options, context.last_run)
    found = 0
    problems = []
    for package, selection in selector.select_from(packages):
        if package.problem:
            problems.append(f"the tests of {package.name} cannot be listed: {package.problem}")
        names = _listed(package, selection, options)
        for name in names:
            write_line(sys.stdout, f"{package.name}.{name}")
        found += len(names)
    for problem in problems:
        for line in safe_lines(f"error: {problem}"):
            write_line(sys.stderr, line)
    if problems:
        return 3  # as when the build of a package fails
    if not found:
        raise NothingMatched("no test is selected")
    return 0


def _listed(package: TestPackage, selection: Selection, options: TestOptions) -> Sequence[str]:
    from envy.testing.patterns import select_top_level, selected_tests

    names = package.tests if selection.names is None else selection.names
    for pattern in filter(None, (options.run, options.list_matching)):
        if package.driver == "go":
            kept = select_top_level(names, run=pattern, skip=options.skip)
        else:
            kept = selected_tests(names, Selection(run=pattern, skip=options.skip))
        if kept is None:
            raise UsageError(
                f"--list cannot evaluate {pattern!r}: only Go can tell what it matches",
                hint="use --run to run the tests",
            )
        names = kept
    return names


def show_saved(settings: Settings, options: TestOptions) -> int:
    """Show a saved run with the views of a live run."""
    path = Path(options.load)
    if wants_tui(options):
        from envy.cli.test_tui import show_in_tui

        return show_in_tui(path, settings.environment)
    from envy.testing.replay import replay

    return replay(read_run(path), make_views(settings, options)).exit_code


def wants_tui(options: TestOptions) -> bool:
    """Return whether to use the terminal view.

    Raises:
        UsageError: It is requested, but cannot be used.
    """
    if options.tui == "always" and options.json == "-":
        raise UsageError("--json writes to standard output, where --tui always draws",
                         hint="write the events to a file: --json=FILE")  # fmt: skip
    if options.tui == "never" or options.json == "-":
        return False
    from importlib.util import find_spec

    is_terminal = sys.stdin.isatty() and sys.stdout.isatty()
    if options.tui == "auto":
        return is_terminal and find_spec("textual") is not None
    if not is_terminal:
        raise UsageError("--tui always needs a terminal", hint="omit it, or use --tui never")
    if find_spec("textual") is None:
        raise missing_extra("--tui always", "Textual", "tui")
    return True
