"""`envy run`: run a program with the project's packages first on its PATH."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Sequence

import click

from envy.answers.program import ProgramCall, program_call
from envy.answers.project_environment import (
    ProductNotExecutable,
    choose_provider,
)
from envy.cache.resolutions import Upstream
from envy.cli.options import envy_command
from envy.cli.project_programs import installed_environment
from envy.cli.settings import Settings
from envy.cli.wiring import open_session
from envy.console.text import safe_line, say
from envy.engine.session import Session
from envy.errors import UsageError


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
    """Run CMD with the products and variables of the manifest and its packages.

    The packages that the manifest lists come first on PATH, then what they need to run. Missing
    packages are installed first. With --with, which may be repeated, only those packages and what
    they need are used. If CMD is a product, only its package must be installed, and no other
    program of that name ever runs instead. The exit code is that of CMD, which receives signals
    directly. All words after CMD are passed to it unchanged.
    """
    if words and words[0] == "--":
        words = words[1:]
    if not words:
        raise UsageError("envy run: no program is given", hint="envy run -- python --version")
    upstream = Upstream.LEFT_ALONE if no_install else Upstream.REMEMBERED
    with open_session(
        settings, owns_stdout=True, installs=not no_install, upstream=upstream
    ) as session:
        program = _prepare(session, settings, queries, words, installs=not no_install)
    execute(program)


def _prepare(
    session: Session,
    settings: Settings,
    queries: Sequence[str],
    words: Sequence[str],
    *,
    installs: bool,
) -> ProgramCall:
    """Install what is needed, and return what to run.

    The base is the environment of envy itself, in which MAKEFLAGS still has the jobserver of a make
    that started envy: the program takes part in that one.
    """
    environment = installed_environment(
        session,
        queries,
        words[0],
        command="run",
        installs=installs,
        started=time.monotonic(),
    )
    if settings.verbose and choose_provider(environment, words[0]) is None:
        _say_who_is_left_out(session, words[0])
    return program_call(environment, words, base=settings.environment, root=session.layout.root)


def _say_who_is_left_out(session: Session, name: str) -> None:
    for recipe in session.recipes():
        if recipe.excluded and name in recipe.provides:
            here = session.platform_tag
            text = f"note: {name} is a product of {recipe.key}, which is not for {here}"
            say(sys.stderr, safe_line(f"{text}: a program on PATH runs instead"))


def execute(program: ProgramCall) -> None:
    """Replace this process with the program; never returns.

    Raises:
        ProductNotExecutable: it cannot be run.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    # Python ignores these signals, and the program would inherit that.
    for name in ("SIGPIPE", "SIGXFSZ"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_DFL)
    path, words, variables = program.path, list(program.words), dict(program.environment)
    try:
        os.execve(path, words, variables)  # noqa: S606  no shell is intended
    except OSError as error:
        raise ProductNotExecutable(f"{path} cannot be run: {error.strerror}") from error
