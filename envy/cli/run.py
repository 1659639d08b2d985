"""`envy run`: run a program with the project's packages first on its PATH."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from envy.cache.shims import shim_folder
from envy.cli.locate import require_installed
from envy.cli.options import envy_command
from envy.cli.outcome import end_unless_done, telling_failures
from envy.cli.settings import Settings
from envy.cli.wiring import Session, open_session
from envy.environment import environment as environment_of_user
from envy.errors import EnvyError, UsageError
from envy.execution.script_environment import exported_environment
from envy.graph.recipe import Recipe
from envy.phases.completion import find_products

NOT_FOUND = 127
NOT_EXECUTABLE = 126


class CommandNotFound(EnvyError):
    """There is no such program, in the packages or on the PATH."""

    exit_code = NOT_FOUND


class CommandNotExecutable(EnvyError):
    """The program is there and cannot be run."""

    exit_code = NOT_EXECUTABLE


@envy_command(short_help="Run a program with the project's packages.", passes_arguments=True)
@click.option("--with", "queries", multiple=True, metavar="QUERY", help="Use only this package.")
@click.option("--no-install", is_flag=True, help="Fail if a package is not there yet.")
@click.argument("words", nargs=-1, required=True, type=click.UNPROCESSED, metavar="CMD [ARGS]...")
def command(
    settings: Settings, queries: tuple[str, ...], words: tuple[str, ...], *, no_install: bool
) -> None:
    """Run CMD with what the manifest's packages provide: their products and exports.

    What is missing is installed first. --with may be given several times; then only those packages
    are used. The exit code and signals are those of CMD; what follows CMD is passed on untouched.
    """
    with open_session(settings, owns_stdout=True, installs=not no_install) as session:
        environment = prepare(session, queries, install=not no_install)
    execute(words, environment)


def prepare(session: Session, queries: Sequence[str], *, install: bool) -> dict[str, str]:
    """Install what is asked for, and return the environment to run a program in."""
    started = time.monotonic()
    engine = session.engine
    with telling_failures(engine):
        engine.resolve_graph(session.manifest.packages)
        goals = engine.checked_goals(queries)
    recipes = [engine.graph.recipes[key] for key in goals]
    if install:
        end_unless_done(engine.run_full(goals), engine, command="run", started=started)
    else:
        require_installed(engine, recipes)
        for recipe in recipes:
            find_products(recipe, engine)
    # As it was, with the jobserver of a make that may have started envy: the program has its place.
    base = dict(environment_of_user())
    environment = {**base, **exported_environment(recipes, base)}
    folders = product_folders(recipes, session.services.layout.root)
    environment["PATH"] = os.pathsep.join([*folders, environment.get("PATH", "")])
    return environment


def product_folders(recipes: Sequence[Recipe], root: Path) -> list[str]:
    """Folders in which each product can be run by its name.

    Raises:
        EnvyError: two packages provide one product.
    """
    providers: dict[str, Recipe] = {}
    renamed: dict[str, str] = {}
    folders: dict[str, None] = {}
    for recipe in recipes:
        for name, path in recipe.work.products.items():
            other = providers.setdefault(name, recipe)
            if other is not recipe:
                raise EnvyError(
                    f"both {other.key} and {recipe.key} provide the product {name!r}",
                    hint="say which packages to use, with --with QUERY",
                )
            file = Path(path)
            if not file.is_absolute():
                continue  # a user-managed product that is a name: it is on the PATH already
            if file.name == name:
                folders[str(file.parent)] = None
            else:
                renamed[name] = path
    shims = [str(shim_folder(root, renamed))] if renamed else []
    return [*shims, *folders]


def execute(words: Sequence[str], environment: Mapping[str, str]) -> None:
    """Become the program; only errors return.

    Raises:
        CommandNotFound, CommandNotExecutable: it cannot be run.
    """
    if words and words[0] == "--":
        words = words[1:]
    if not words:
        raise UsageError("envy run: say what to run", hint="envy run -- python --version")
    program = shutil.which(words[0], path=environment.get("PATH"))
    if program is None:
        raise CommandNotFound(
            f"there is no program {words[0]!r}, in the packages or on the PATH",
            hint="see which products there are in the manifest's recipes",
        )
    sys.stdout.flush()
    sys.stderr.flush()
    # Python ignores these, and a program would inherit that.
    for name in ("SIGPIPE", "SIGXFSZ"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_DFL)
    try:
        os.execve(program, list(words), dict(environment))  # noqa: S606  no shell is meant
    except OSError as error:
        raise CommandNotExecutable(f"cannot run {program}: {error.strerror}") from error
