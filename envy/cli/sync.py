"""`envy sync`: install the packages of the manifest."""

from __future__ import annotations

import dataclasses
import sys
import time
from collections.abc import Sequence

import click

from envy.cli.exit_codes import exit_code_of
from envy.cli.fast_path import warm_answer
from envy.cli.options import envy_command
from envy.cli.settings import Settings
from envy.console.summary import SyncResult, final_line
from envy.events import Listener


@envy_command(
    short_help="Install the packages that envy.lua lists.",
    examples=[
        ("envy sync", "every package of the manifest"),
        ("envy sync python cmake", "only these and their dependencies"),
        ("envy sync --yes --jobs 4", "without questions, four jobs at once"),
        ("envy sync --json", "for scripts: the outcome of each package"),
    ],
)
@click.argument("queries", nargs=-1, metavar="[QUERY]...")
@click.option("--dry-run", is_flag=True, help="Show what would be done, as envy plan does.")
@click.option("--ask-host", is_flag=True, help="Ask every program of `host` for its version again.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.option("--remote-exec", is_flag=True, help="Run scripts on the server of --remote.")
@click.option(
    "--remote-jobs",
    type=click.IntRange(min=1),
    default=16,
    metavar="N",
    help="Run N scripts there at once (16).",
)
@click.option("--profile", is_flag=True, help="Print how the time was spent.")
def command(
    settings: Settings,
    queries: tuple[str, ...],
    *,
    dry_run: bool,
    ask_host: bool,
    as_json: bool,
    remote_exec: bool,
    remote_jobs: int,
    profile: bool,
) -> int:
    """Install every missing package of the manifest, or only the packages that QUERY names.

    A QUERY is a name (python), namespace.name, name@revision, a full identity, or an alias. Options
    select among variants: python{version=3.13}.

    A program of the machine that a recipe names in `host` is asked for its version if its file has
    changed. With --ask-host, each is asked even so: a change of its libraries alone is not noticed.

    With --remote-exec, the scripts of `build` and `install` of recipes with `remote = true` run on
    the server of --remote, if it executes actions.
    """
    if remote_exec:
        from envy.cli.remote_executor import check_server_of_execution

        check_server_of_execution(settings)
        settings = dataclasses.replace(settings, remote_exec=True, remote_jobs=remote_jobs)
    if dry_run and profile:
        raise click.UsageError(
            "--dry-run runs nothing, so there is nothing for --profile to measure"
        )
    if dry_run:
        from envy.cli.plan import show_plan

        return show_plan(settings, queries, as_json=as_json)
    started = time.monotonic()
    if profile:
        from envy.cli.profiling import profiled

        # A full run even if there is a warm answer: its time is what was requested.
        with profiled(settings, started) as profiler:
            result = run_sync(settings, queries, started, as_json=as_json, observers=[profiler])
            return report_sync(result, settings)
    # Nor does a warm answer know the outcome of each package.
    found = None if as_json or ask_host else _warm_result(settings, queries, started)
    return report_sync(found or run_sync(settings, queries, started, as_json=as_json), settings)


def report_sync(result: SyncResult, settings: Settings) -> int:
    """Print how a sync ended, and return the exit code."""
    if result.failures:
        from envy.cli.outcome import print_failures

        print_failures(result.failures, settings.environment)
    if not settings.quiet or result.failures:
        from envy.console.say_styled import say_styled

        say_styled(sys.stderr, [final_line(result)], settings.environment)
    return exit_code_of(result)


def _warm_result(settings: Settings, queries: Sequence[str], started: float) -> SyncResult | None:
    found = warm_answer(settings, queries, renews=True)
    if found is None:
        return None
    seconds = time.monotonic() - started
    return SyncResult(packages=found.count, cached=found.count, seconds=seconds)


def run_sync(
    settings: Settings,
    queries: Sequence[str],
    started: float,
    *,
    as_json: bool,
    asks: bool = True,
    observers: Sequence[Listener] = (),
) -> SyncResult:
    """Install what the queries mean; everything without queries. Failures are in the result.

    Without `asks`, unpinned sources are what the project last found, as for a query.

    Raises:
        EnvyError: the manifest or its graph is not valid.
    """
    # Imported here, because a warm answer needs none of these.
    from envy.cache.resolutions import Upstream
    from envy.cli.cache_root import chosen_root
    from envy.cli.outcome import resolved, summarise
    from envy.cli.wiring import open_session

    began = time.time_ns()  # before the manifest is read: a later change is newer
    with open_session(
        settings,
        owns_stdout=as_json,
        upstream=Upstream.ASKED if asks else Upstream.REMEMBERED,
        observers=observers,
    ) as session:
        results = session.install(resolved(session, queries))
        session.store_answer()
        if not queries:
            session.write_launchers(began, chosen_root(settings))
        summary = summarise(results, session, seconds=time.monotonic() - started)
    if as_json:
        import json

        from envy.cli.output import print_data
        from envy.explain.sync_json import sync_document
        from envy.masking import masked_data

        print_data(json.dumps(masked_data(sync_document(results, summary)), indent=2))
    return summary
