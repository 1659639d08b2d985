"""Running one session of `envy test` from the options of the command."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from envy.cli.test_drivers import Toolchains, make_toolchains, open_driver
from envy.cli.test_setup import (
    RunContext,
    check_writable,
    make_flags,
    make_views,
    patterns_of,
    session_settings,
)
from envy.testing.session import SessionResult, SessionSettings, TestSession, View


def run_once(context: RunContext) -> SessionResult:
    """Run one session with the views and the selection of the command's options."""
    settings = session_settings(context)
    return run_session(context, settings, make_views(context.settings, context.options))


def run_session(
    context: RunContext,
    settings: SessionSettings,
    views: Sequence[View],
    *,
    patterns: Sequence[str] | None = None,
    toolchains: Toolchains | None = None,
    on_session: Callable[[TestSession], None] | None = None,
) -> SessionResult:
    """Run one session with these views, for the command's patterns unless others are given."""
    flags = make_flags(context.options, context.directory)
    toolchains = toolchains or make_toolchains(context)
    patterns = patterns or context.options.patterns
    check_writable(flags.profile_path(context.directory))
    with open_driver(context, toolchains, patterns) as driver:
        session = TestSession(
            driver, settings, events=context.events, children=context.children, views=views
        )
        context.control.attend(session)
        if on_session is not None:
            on_session(session)
        result = session.run(patterns_of(patterns))
        driver.finish()
    if not result.built_only:
        context.last_run.save(result.recorder)
    return result
