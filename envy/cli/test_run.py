"""Running one session of `envy test` from the options of the command."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from envy.cli.test_setup import (
    Workplace,
    check_writable,
    make_driver,
    make_flags,
    make_toolchain,
    make_views,
    patterns_of,
    session_settings,
)
from envy.testing.drivers.go_toolchain import GoToolchain
from envy.testing.session import SessionResult, SessionSettings, TestSession, View


def run_once(place: Workplace) -> SessionResult:
    """Run one session with the views and the selection of the command's options."""
    settings = session_settings(place)
    return run_session(place, settings, make_views(place.settings, place.options))


def run_session(
    place: Workplace,
    settings: SessionSettings,
    views: Sequence[View],
    *,
    patterns: Sequence[str] | None = None,
    toolchain: GoToolchain | None = None,
    on_session: Callable[[TestSession], None] | None = None,
) -> SessionResult:
    """Run one session with these views, for the command's patterns unless others are given."""
    flags = make_flags(place.options, place.directory)
    toolchain = toolchain or make_toolchain(place)
    check_writable(flags.profile_path(place.directory))
    with place.store.workshop() as scratch:
        driver = make_driver(place, toolchain, flags, scratch)
        session = TestSession(
            driver, settings, events=place.events, children=place.children, views=views
        )
        place.control.attend(session)
        if on_session is not None:
            on_session(session)
        result = session.run(patterns or patterns_of(place.options.patterns))
        driver.finish()
    if not result.built_only:
        place.last_run.save(result.recorder)
    return result
