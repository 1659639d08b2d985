"""`envy test --legacy`: run `go test -json` with the equivalent options."""

from __future__ import annotations

from envy.cli.test_options import TestOptions
from envy.cli.test_run import keep_failures, recorded_programs
from envy.cli.test_setup import RunContext, make_toolchain, make_views, patterns_of
from envy.errors import Cancelled, UsageError
from envy.testing.durations import go_duration
from envy.testing.legacy import run_go_test


def run_legacy(context: RunContext) -> int:
    """Run `go test -json` with the options that it supports.

    Raises:
        UsageError: An option is not supported by `go test`.
    """
    options = context.options
    words = _words(options, jobs=context.settings.jobs, fail_fast=context.settings.fail_fast)
    views = make_views(context.settings, options)
    with recorded_programs(context) as recording:
        toolchain = make_toolchain(recording)
        context.control.attend(_Children(context))
        result = run_go_test(toolchain, words, views)
    keep_failures(context, result.recorder)
    return result.exit_code


class _Children:
    """The one child, which a signal can cancel."""

    def __init__(self, context: RunContext) -> None:
        self._context = context

    def cancel(self, reason: Cancelled) -> None:
        del reason
        self._context.children.terminate_all()

    def describe_waits(self) -> list[str]:
        """Return the command of the child while it runs."""
        return [child.command for child in self._context.children.running()]


def _words(options: TestOptions, *, jobs: int | None, fail_fast: bool) -> list[str]:
    for name, given in (
        ("--failed", options.failed),
        ("--filter", options.filter),
        ("--partition", options.partition),
        ("--save-durations", options.save_durations),
        ("--build-only", options.build_only),
        ("--isolate", options.isolate),
        ("--retries", options.retries),
        ("--max-fails", options.max_fails),
        ("--total-timeout", options.total_timeout),
        ("--stop-on-build-error", options.stop_on_build_error),
        ("--watch", options.watch),
    ):
        if given:
            raise UsageError(f"{name} cannot be used with --legacy")
    words = [f"-{name}" if value is None else f"-{name}={value}"
             for name, value in options.go_flags if name != "C"]  # fmt: skip
    words.append(f"-p={jobs or 1}")
    words.append(f"-timeout={go_duration(options.timeout)}")
    if fail_fast:
        words.append("-failfast")
    if options.coverage:
        words.append("-cover")
    if options.count is not None or options.no_cache or options.rerun:
        words.append(f"-count={options.count or 1}")
    words += [f"-run={options.run}"] if options.run else []
    words += [f"-skip={options.skip}"] if options.skip else []
    words += patterns_of(options.patterns)
    return [*words, "-args", *options.arguments] if options.arguments else words
