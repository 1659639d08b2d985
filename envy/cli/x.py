"""`envy x`: run a program of a shipped recipe once, without a manifest of one's own."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import click

from envy.answers.program import ProgramCall, program_call
from envy.cache.run_once import run_once_manifest, write_run_once
from envy.cli.cache_root import cache_root
from envy.cli.options import envy_command
from envy.cli.project_programs import installed_environment
from envy.cli.run import execute
from envy.cli.settings import Settings
from envy.cli.wiring import open_session
from envy.declarations.manifest_text import entry_text
from envy.declarations.option_text import OptionValue
from envy.declarations.shipped_table import ShippedRecipe
from envy.declarations.tool_name import named_tool
from envy.errors import EnvyError, UsageError
from envy.host.platform import Platform, host_platform
from envy.suggest import did_you_mean


@envy_command(
    short_help="Run a tool once, without a manifest.",
    examples=[
        ("envy x ninja -- --version", "the newest version that envy knows"),
        ("envy x ninja@1.11.1 -C build", "a version; options after it are those of the tool"),
        ("envy x --program gofmt go -- -l .", "another program of the package"),
        ("envy x pypi:black -- --version", "a program of the package index; npm:NAME of npm"),
    ],
    passes_arguments=True,
)
@click.option("--program", metavar="NAME", help="Run this program of the package.")
@click.option("--no-install", is_flag=True, help="Fail if the package is not installed.")
@click.argument("words", nargs=-1, required=True, type=click.UNPROCESSED, metavar="TOOL [ARGS]...")
def command(
    settings: Settings, words: tuple[str, ...], *, program: str | None, no_install: bool
) -> None:
    """Run the program of TOOL or TOOL@VERSION, a recipe that ships with envy.

    `envy list --shipped` lists them. pypi:NAME and npm:NAME, perhaps with @VERSION, run the program
    of a package of the index or of npm; without a version, the newest when it is first run. The
    package is installed in the cache if it is missing, and used by projects, too; `envy cache gc`
    removes it when it was not used for long. A manifest has no part in this: the same command does
    the same everywhere. All words after TOOL, and after a -- that follows it, are passed to the
    program, which has the exit code and receives signals.
    """
    if words[0] == "--":
        words = words[1:]
    if not words or not words[0]:
        raise UsageError("envy x: no tool is given", hint="envy x ninja -- --version")
    tool = named_tool(words[0], command="x")
    check_platform(tool.recipe, host_platform())
    arguments = words[2:] if words[1:2] == ("--",) else words[1:]
    if tool.package:
        name = program or tool.program
        entry = tool.entry(*([program] if program else []))
    else:
        name = _program_of(tool.recipe, program, words[0])
        entry = tool.entry()
    execute(_prepare(settings, entry, words[0], [name, *arguments], installs=not no_install))


def check_platform(recipe: ShippedRecipe, platform: Platform) -> None:
    """Check that a recipe is for a platform.

    Raises:
        EnvyError: it is not; another program of that name, from PATH, must not run instead.
    """
    if recipe.platforms and not any(map(platform.matches, recipe.platforms)):
        raise EnvyError(
            f"{recipe.identity} is not for {platform.tag}",
            hint=f"it is for {', '.join(recipe.platforms)}",
        )


def _program_of(recipe: ShippedRecipe, program: str | None, word: str) -> str:
    """Return the program to run: the one that was named, or that has the name of the recipe.

    Raises:
        EnvyError: the recipe has none, or not this one.
    """
    names = recipe.products
    if not names or recipe.user_managed:
        raise EnvyError(
            f"{recipe.identity} has no program to run",
            hint=f"it is for projects: envy add {recipe.name}",
        )
    if program is not None:
        if program in names:
            return program
        near = did_you_mean(program, names)
        raise EnvyError(f"{recipe.identity} has no program {program!r}", hint=near)
    if recipe.name in names or len(names) == 1:
        return recipe.name if recipe.name in names else names[0]
    raise EnvyError(
        f"{recipe.identity} has several programs: {', '.join(names)}",
        hint=f"name one: envy x --program {names[0]} {word}",
    )


def _prepare(
    settings: Settings,
    entry: str | dict[str, OptionValue],
    word: str,
    words: Sequence[str],
    *,
    installs: bool,
) -> ProgramCall:
    """Install the tool, and return what to run."""
    from envy.cache.resolutions import Upstream

    manifest = run_once_manifest(str(cache_root(settings)), word)
    shown = " ".join(word.split())  # a comment ends with its line
    text = f"-- Written by `envy x {shown}`.\npackages = {{ {entry_text(entry)} }}\n"
    write_run_once(manifest, text)
    settings = replace(settings, manifest=Path(manifest))
    upstream = Upstream.REMEMBERED if installs else Upstream.LEFT_ALONE
    with open_session(settings, owns_stdout=True, installs=installs, upstream=upstream) as session:
        environment = installed_environment(
            session, (), words[0], command="x", installs=installs, started=time.monotonic()
        )
        return program_call(environment, words, base=settings.environment, root=session.layout.root)
