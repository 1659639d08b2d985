"""`envy sync`: bring this machine to what the manifest says."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence

import click

from envy.cli.exit_codes import exit_code_of
from envy.cli.options import envy_command
from envy.cli.settings import Settings
from envy.cli.warm_command import installed
from envy.console.summary import SyncResult, final_line
from envy.console.text import say
from envy.events import Listener


@envy_command(short_help="Bring this machine to what envy.lua says.")
@click.argument("queries", nargs=-1, metavar="[QUERY]...")
@click.option("--dry-run", is_flag=True, help="Only show what would be done, as envy plan does.")
@click.option("--profile", is_flag=True, help="Print where the time went, when it is done.")
def command(settings: Settings, queries: tuple[str, ...], *, dry_run: bool, profile: bool) -> int:
    """Install every package of the manifest that is missing, or only those that QUERY names.

    A QUERY is a name (python), namespace.name, name@revision, a whole identity, or an alias;
    options narrow it down: python{version=3.13}.
    """
    if dry_run and profile:
        raise click.UsageError("--dry-run runs nothing that --profile could tell of")
    if dry_run:
        from envy.cli.plan import show_plan

        return show_plan(settings, queries)
    started = time.monotonic()
    if profile:
        from envy.cli.profiling import profiled

        # The full way, also when the answer is known: what that takes is what was asked for.
        with profiled(settings, started) as profiler:
            return _tell(_sync(settings, queries, started, [profiler]), settings)
    result = _warm_result(settings, queries, started) or _sync(settings, queries, started)
    return _tell(result, settings)


def _tell(result: SyncResult, settings: Settings) -> int:
    if result.failures:
        from envy.cli.outcome import print_failures

        print_failures(result.failures)
    if not settings.quiet or result.failures:
        say(sys.stderr, final_line(result))
    return exit_code_of(result)


def _warm_result(settings: Settings, queries: Sequence[str], started: float) -> SyncResult | None:
    found = installed(settings, queries)
    if found is None:
        return None
    seconds = time.monotonic() - started
    return SyncResult(packages=found.count, cached=found.count, seconds=seconds)


def _sync(
    settings: Settings,
    queries: Sequence[str],
    started: float,
    observers: Sequence[Listener] = (),
) -> SyncResult:
    # Imported here, because a warm answer needs none of it.
    from envy.cli.answers import keep_answer
    from envy.cli.outcome import summarise, telling_failures
    from envy.cli.wiring import open_session

    with open_session(settings, observers=observers) as session:
        engine = session.engine
        with telling_failures(engine):
            engine.resolve_graph(session.manifest.packages)
            goals = engine.checked_goals(queries)
        results = engine.run_full(goals)
        keep_answer(session)
        return summarise(results, engine, seconds=time.monotonic() - started)
