"""Running one session of `envy test` from the options of the command."""

from __future__ import annotations

import contextlib
import dataclasses
import sys
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path

from envy.cache.names import TEST_LOCKS_FOLDER, TESTS_FOLDER
from envy.cli.cache_root import cache_root
from envy.cli.test_changed import with_changes, with_manifest
from envy.cli.test_coverage import notes_on, write_reports
from envy.cli.test_drivers import Toolchains, make_toolchains, open_driver
from envy.cli.test_results import RememberedRun
from envy.cli.test_setup import (
    RunContext,
    check_writable,
    make_flags,
    make_views,
    patterns_of,
    session_settings,
    toolchain_source,
)
from envy.console.text import say
from envy.testing.known_times import save_times
from envy.testing.orphans import recorded_children
from envy.testing.results import Recorder
from envy.testing.session import TestSession
from envy.testing.session_result import SessionResult, View
from envy.testing.session_settings import SessionSettings


def run_once(context: RunContext) -> SessionResult:
    """Run one session with the views and the selection of the command's options."""
    settings = session_settings(context)
    views = make_views(context.settings, context.options)
    return run_session(context, settings, views, remembered=remembered_run(context, settings))


def remembered_run(context: RunContext, settings: SessionSettings) -> RememberedRun | None:
    """Return the record of this command; None if it cannot be answered from one."""
    words = context.options.words
    if words is None or settings.results is None:
        return None
    return RememberedRun(context, settings.results, words)


def run_session(
    context: RunContext,
    settings: SessionSettings,
    views: Sequence[View],
    *,
    live: Sequence[View] = (),
    patterns: Sequence[str] | None = None,
    toolchains: Toolchains | None = None,
    remembered: RememberedRun | None = None,
    on_session: Callable[[TestSession], None] | None = None,
    takes_all: bool = False,
) -> SessionResult:
    """Run one session with these views, for the command's patterns unless others are given.

    `takes_all` runs what the settings select, whatever has changed.

    `live` receive the events of packages that run at once as they come, not in order.

    A remembered run whose evidence is unchanged is shown again, before any toolchain is started.
    """
    if settings.results is not None:
        settings.results.begin()
    make_flags(context.options, context.directory)  # a flag that is refused is refused first
    if context.options.changed and not takes_all:
        settings = with_changes(context, settings, context.options.changed)
    if remembered is not None:
        answered = remembered.answer([*live, *views])
        if answered is not None:
            keep_failures(context, answered.recorder)
            return answered
    with recorded_programs(context) as recording:
        return _run_tests(
            recording,
            settings,
            views,
            live=live,
            patterns=patterns or context.options.patterns,
            toolchains=toolchains,
            remembered=remembered,
            on_session=on_session,
        )


@contextlib.contextmanager
def recorded_programs(context: RunContext) -> Iterator[RunContext]:
    """Provide the context of a run whose programs the next run ends, if this one is killed."""
    folder = cache_root(context.settings) / TESTS_FOLDER / TEST_LOCKS_FOLDER
    with recorded_children(folder, context.children) as children:
        yield dataclasses.replace(context, children=children)


def _run_tests(
    context: RunContext,
    settings: SessionSettings,
    views: Sequence[View],
    *,
    live: Sequence[View],
    patterns: Sequence[str],
    toolchains: Toolchains | None,
    remembered: RememberedRun | None,
    on_session: Callable[[TestSession], None] | None,
) -> SessionResult:
    flags = make_flags(context.options, context.directory)
    toolchains = (toolchains or make_toolchains(context)).with_children(context.children)
    if remembered is not None:
        remembered.note_source(toolchain_source(context, toolchains.package))
        views = [*views, *remembered.views]
    check_writable(flags.profile_path(context.directory))
    settings = with_manifest(context, settings)
    run = dataclasses.replace(settings.run, rules=toolchains.rules)
    settings = dataclasses.replace(settings, run=run)
    asked = patterns_of(patterns)
    with open_driver(context, toolchains, patterns) as driver:
        notes = tuple(notes_on(context.options, driver))
        settings = dataclasses.replace(settings, notes=notes)
        session = TestSession(
            driver,
            settings,
            events=context.events,
            children=context.children,
            views=views,
            live=live,
        )
        if remembered is not None:
            observe = remembered.observe
            search = toolchains.search
            session.on_discovered = lambda packages: observe(driver, packages, asked, search)
        context.control.attend(session)
        if on_session is not None:
            on_session(session)
        result = session.run(asked)
        driver.finish()
        write_reports(context.options, result.coverage, context.directory)
        if result.too_little and context.options.json == "-":
            say(sys.stderr, f"error: {result.too_little}")  # no event says why it failed
        if remembered is not None:
            remembered.finish(result, driver)
    if not result.built_only:
        is_all = asked == patterns_of([]) and result.exit_code in {0, 1} and not result.cancelled
        _keep(context, result, is_all=is_all)
    return result


def keep_failures(
    context: RunContext,
    recorder: Recorder,
    *,
    present: Mapping[str, Collection[str] | None] | None = None,
    is_all: bool = False,
) -> None:
    """Keep what failed, for `--failed`; that this is not possible changes no outcome."""
    try:
        context.last_run.save(recorder, present=present, is_all=is_all)
    except OSError as error:
        say(
            sys.stderr,
            f"warning: what failed is not remembered for --failed: {context.last_run.path}: "
            f"{error.strerror}",
        )


def _keep(context: RunContext, result: SessionResult, *, is_all: bool) -> None:
    """Keep what later runs go by: what failed, and how long it took."""
    present = _tests_of(result)
    keep_failures(context, result.recorder, present=present, is_all=is_all)
    if not (context.options.coverage or context.options.sanitize):  # which take their time
        context.history.learn(result.recorder, now=time.time())
    if context.options.save_durations:
        save_times(
            Path(context.options.save_durations),
            result.recorder,
            present=present,
            unlisted={one.name for one in result.packages if one.is_open},
            is_all=is_all,
            places={one.name: one.place_name for one in result.packages},
        )


def _tests_of(result: SessionResult) -> dict[str, Collection[str] | None]:
    """Return the tests that each package of a run has; None if they are not known."""
    found: dict[str, Collection[str] | None] = {one.name: None for one in result.packages}
    for run in result.runs:
        package = run.package
        if package.tests and not (package.is_open or package.is_partial or run.failed_build):
            found[package.name] = frozenset(package.tests)
    return found
