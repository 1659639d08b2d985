"""`envy hook`: let a shell use the project of its working directory."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import click

from envy.answers.use import variables_of
from envy.cli.cache_root import cache_root
from envy.cli.hook_text import SHELLS, hook_text, load_text
from envy.cli.options import envy_command
from envy.cli.output import print_data
from envy.cli.settings import Settings, current_directory
from envy.declarations.manifest_search import find_manifest
from envy.errors import EnvyError


@envy_command(
    short_help="Let a shell use the project of its folder.",
    examples=[
        ("envy hook bash", 'in ~/.bashrc: eval "$(envy hook bash)"'),
        ("envy hook zsh", 'in ~/.zshrc: eval "$(envy hook zsh)"'),
        ("envy hook fish", "in config.fish: envy hook fish | source"),
    ],
)
@click.argument("shell", type=click.Choice(SHELLS))
@click.option("--load", is_flag=True, help="Print what the hook runs in a project's folder.")
def command(settings: Settings, shell: str, *, load: bool) -> None:
    """Print a function for the start of SHELL that follows the working directory.

    In the folder of a project, or below it, the shell has the variables that `envy env` prints; on
    leaving it, those from before. Only what your last `envy sync` found is used: where nothing was
    installed, or where the manifest or a recipe has changed, the hook says so and does nothing.
    """
    if os.name == "nt":
        raise EnvyError("`envy hook` is not available on Windows", hint="use envy run -- PROGRAM")
    if not load:
        print_data(hook_text(shell, _own_program()))
        return
    manifest = find_manifest(settings.manifest or current_directory(), named=settings.manifest)
    root = str(cache_root(settings))
    variables = variables_of(root, str(manifest), settings.environment)
    if variables is None:
        raise EnvyError(
            f"the programs of {manifest.parent} are not used in this shell: something has changed "
            "since its last sync, or is not in the cache",
            hint="run `envy sync`, leave the folder and enter it again",
        )
    print_data(load_text(shell, variables, settings.environment))


def _own_program() -> str:
    beside = Path(sys.executable).with_name("envy")
    return str(beside) if beside.exists() else shutil.which("envy") or "envy"
