"""`envy sync`: bring this machine to what the manifest says."""

from __future__ import annotations

import sys
import time

import click

from envy.cli.exit_codes import exit_code_of
from envy.cli.options import envy_command
from envy.cli.outcome import print_failures, summarise, telling_failures
from envy.cli.settings import Settings
from envy.cli.wiring import open_session
from envy.console.summary import final_line
from envy.console.text import say
from envy.engine.resolution import checked_goals


@envy_command(short_help="Bring this machine to what envy.lua says.")
@click.argument("queries", nargs=-1, metavar="[QUERY]...")
def command(settings: Settings, queries: tuple[str, ...]) -> int:
    """Install every package of the manifest that is missing, or only those that QUERY names.

    A QUERY is a name (python), namespace.name, name@revision, a whole identity, or an alias;
    options narrow it down: python{version=3.13}.
    """
    started = time.monotonic()
    with open_session(settings) as session:
        engine = session.engine
        with telling_failures(engine):
            engine.resolve_graph(session.manifest.packages)
            goals = checked_goals(engine, queries)
        results = engine.run_full(goals)
        result = summarise(results, engine, seconds=time.monotonic() - started)
    print_failures(result.failures)
    if not settings.quiet or result.failures:
        say(sys.stderr, final_line(result))
    return exit_code_of(result)
