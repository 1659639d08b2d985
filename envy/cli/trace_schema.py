"""`envy trace-schema`: the contract of `--trace=file:PATH`."""

import json

import click

from envy.cli.options import envy_command
from envy.cli.settings import Settings


@envy_command(short_help="Print the JSON Schema of --trace=file:PATH.")
def command(_settings: Settings) -> None:
    """Print the JSON Schema that each line of a trace file satisfies.

    One schema for each event, with the fields it has and the text that --trace=stderr shows for it.
    """
    from envy.console.schema import trace_schema

    click.echo(json.dumps(trace_schema(), indent=2, ensure_ascii=False))
