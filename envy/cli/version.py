"""`envy version`: print the version of envy, and with --verbose the system that it runs on."""

import sys

import click

from envy import __version__
from envy.cli.options import envy_command
from envy.cli.settings import Settings


@envy_command(
    short_help="Print the version of envy.",
    examples=[
        ("envy version", "the version"),
        ("envy version --verbose", "the version, Python and the platform"),
    ],
)
def command(settings: Settings) -> None:
    """Print the version of envy; with --verbose also what a bug report should contain."""
    click.echo(f"envy {__version__}")
    if settings.verbose:
        from envy.host.platform import host_platform

        host = host_platform()
        click.echo(f"python {sys.version.split()[0]} ({sys.executable})")
        words = ["platform", host.tag, host.os_version, host.libc, host.libc_version]
        click.echo(" ".join(word for word in words if word))
