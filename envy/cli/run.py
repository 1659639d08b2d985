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

from envy.cache.resolutions import Upstream
from envy.cache.shims import shim_folder
from envy.cli.options import envy_command
from envy.cli.outcome import install, resolved
from envy.cli.settings import Settings
from envy.cli.wiring import open_session
from envy.declarations.key import RecipeKey
from envy.engine.session import Session
from envy.errors import EnvyError, UsageError

NOT_FOUND = 127
NOT_EXECUTABLE = 126


class CommandNotFound(EnvyError):
    """The program is neither in the packages nor on PATH."""

    exit_code = NOT_FOUND


class CommandNotExecutable(EnvyError):
    """The program exists but cannot be run."""

    exit_code = NOT_EXECUTABLE


@envy_command(
    short_help="Run a program with the project's packages.",
    examples=[
        ("envy run -- cmake --version", "run a program of a package"),
        ("envy run --with python -- python -m venv env", "use only one package"),
        ("envy run make -j4", "pass options to the program"),
    ],
    passes_arguments=True,
)
@click.option(
    "--with",
    "queries",
    multiple=True,
    metavar="QUERY",
    help="Use only this package; may be repeated.",
)
@click.option("--no-install", is_flag=True, help="Fail if a package is not installed.")
@click.argument("words", nargs=-1, required=True, type=click.UNPROCESSED, metavar="CMD [ARGS]...")
def command(
    settings: Settings, queries: tuple[str, ...], words: tuple[str, ...], *, no_install: bool
) -> None:
    """Run CMD with the products and exported variables of the manifest's packages.

    Missing packages are installed first. With --with, which may be repeated, only those packages
    are used. The exit code is that of CMD, which receives signals directly. All words after CMD are
    passed to it unchanged.
    """
    upstream = Upstream.LEFT_ALONE if no_install else Upstream.REMEMBERED
    with open_session(
        settings, owns_stdout=True, installs=not no_install, upstream=upstream
    ) as session:
        environment = prepare(session, settings.environment, queries, installs=not no_install)
    execute(words, environment)


def prepare(
    session: Session, base: Mapping[str, str], queries: Sequence[str], *, installs: bool
) -> dict[str, str]:
    """Install the packages that queries mean, and return the environment to run a program in.

    `base` is the environment of envy itself, in which MAKEFLAGS still has the jobserver of a make
    that started envy: the program takes part in that one.
    """
    started = time.monotonic()
    goals = resolved(session, queries)
    if installs:
        install(session, goals, command="run", started=started)
    else:
        session.require_installed(goals)
    recipes = [session.recipe(key) for key in goals]
    environment = {**base, **session.exported_environment(recipes, base)}
    products = {recipe.key: session.products_of(recipe) for recipe in recipes}
    folders = product_folders(products, session.layout.root)
    environment["PATH"] = os.pathsep.join([*folders, environment.get("PATH", "")])
    return environment


def product_folders(products: Mapping[RecipeKey, Mapping[str, str]], root: Path) -> list[str]:
    """Return folders in which each product can be run by its name.

    Raises:
        EnvyError: two packages provide one product.
    """
    providers: dict[str, RecipeKey] = {}
    renamed: dict[str, str] = {}
    folders: dict[str, None] = {}
    for key, paths in products.items():
        for name, path in paths.items():
            other = providers.setdefault(name, key)
            if other is not key:
                raise EnvyError(
                    f"both {other} and {key} provide the product {name!r}",
                    hint="choose the packages to use with --with QUERY",
                )
            file = Path(path)
            if not file.is_absolute():
                continue  # a user-managed product that is only a name is already on PATH
            if file.name == name:
                folders[str(file.parent)] = None
            else:
                renamed[name] = path
    shims = [str(shim_folder(root, renamed))] if renamed else []
    return [*shims, *folders]


def execute(words: Sequence[str], environment: Mapping[str, str]) -> None:
    """Replace this process with the program; never returns.

    Raises:
        CommandNotFound, CommandNotExecutable: it cannot be run.
    """
    if words and words[0] == "--":
        words = words[1:]
    if not words:
        raise UsageError("envy run: no program is given", hint="envy run -- python --version")
    program = shutil.which(words[0], path=environment.get("PATH"))
    if program is None:
        raise CommandNotFound(
            f"there is no program {words[0]!r} in the packages or on PATH",
            hint="list the products of the packages with `envy product`",
        )
    sys.stdout.flush()
    sys.stderr.flush()
    # Python ignores these signals, and the program would inherit that.
    for name in ("SIGPIPE", "SIGXFSZ"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_DFL)
    try:
        os.execve(program, list(words), dict(environment))  # noqa: S606  no shell is intended
    except OSError as error:
        raise CommandNotExecutable(f"cannot run {program}: {error.strerror}") from error
