"""`envy plan`, also `envy sync --dry-run`: show what a sync would do, without doing it."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence

import click

from envy.cache.resolutions import Upstream
from envy.cli.options import envy_command
from envy.cli.outcome import print_failures, resolved
from envy.cli.output import print_data, print_result
from envy.cli.settings import Settings
from envy.cli.wiring import open_session
from envy.console.text import safe_line
from envy.explain.plan import PlannedStep, make_plan, plan_lines
from envy.masking import masked_data


@envy_command(
    short_help="Show what sync would do, without doing it.",
    examples=[
        ("envy plan", "the whole project"),
        ("envy plan cmake", "only cmake and its dependencies"),
        ("envy plan --json", "for scripts"),
    ],
)
@click.argument("queries", nargs=-1, metavar="[QUERY]...")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(settings: Settings, queries: tuple[str, ...], *, as_json: bool) -> int:
    """Show what `envy sync` would fetch, build, reuse and check, dependencies first.

    Nothing is installed, and nothing is written to the cache; missing recipes are fetched into a
    temporary folder. Checks of user-managed packages are not run. A package whose recipe comes from
    a custom source cannot be planned until the tools of that source are installed: the package and
    everything that depends on it are shown as unknown.

    Packages whose lines differ only in their names are one line with their number; --verbose lists
    each of them.
    """
    return show_plan(settings, queries, as_json=as_json)


def show_plan(settings: Settings, queries: Sequence[str], *, as_json: bool = False) -> int:
    """Print the plan; return the exit code, 1 if a package has already failed."""
    with open_session(
        settings, owns_stdout=True, installs=False, writes=False, upstream=Upstream.ASKED
    ) as session:
        steps = masked_data(make_plan(session, resolved(session, queries)))
        failures = session.failures()
    if as_json:
        print_data(json.dumps([_row(step) for step in steps], indent=2))
    else:
        print_result("\n".join(map(safe_line, plan_lines(steps, all_steps=settings.verbose))))
    print_failures(failures, settings.environment)
    return 1 if failures else 0


def _row(step: PlannedStep) -> dict[str, object]:
    return {**dataclasses.asdict(step), "act": step.act.value}
