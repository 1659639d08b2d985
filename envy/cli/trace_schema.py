"""`envy trace-schema`: print the JSON Schema of the lines that `--trace=file:PATH` writes."""

import json

import click

from envy.cli.options import envy_command
from envy.cli.settings import Settings


@envy_command(
    short_help="Print the JSON Schema of --trace=file:PATH.",
    examples=[
        ("envy trace-schema", "the schema"),
        ("envy sync --trace=file:trace.jsonl", "a trace whose lines match it"),
    ],
)
def command(_settings: Settings) -> None:
    """Print the JSON Schema that each line of a trace file matches.

    There is one schema for each event, with its fields and the text that --trace=stderr shows.
    """
    from envy.console.schema import trace_schema

    click.echo(json.dumps(trace_schema(), indent=2, ensure_ascii=False))
