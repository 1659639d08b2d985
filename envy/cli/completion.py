"""`envy completion`: print the completions of a shell, which are a file of envy."""

from __future__ import annotations

from pathlib import Path

import click

from envy.cli.hook_text import SHELLS
from envy.cli.options import envy_command
from envy.cli.output import print_data
from envy.cli.settings import Settings


@envy_command(
    short_help="Print the completions of a shell.",
    examples=[
        ("envy completion bash", "for ~/.local/share/bash-completion/completions/envy"),
        ("envy completion zsh", "for _envy, in a folder of fpath"),
        ("envy completion fish", "for ~/.config/fish/completions/envy.fish"),
    ],
)
@click.argument("shell", type=click.Choice(SHELLS))
def command(settings: Settings, shell: str) -> None:  # noqa: ARG001
    """Print a file that completes commands, options, programs and packages, without starting envy.

    Names of programs and packages come from the file .envy/names, which a sync writes in a project
    with `launchers`.
    """
    folder = Path(__file__).with_name("completions")
    print_data((folder / f"envy.{shell}").read_text(encoding="utf-8"))
