"""`envy lua`: run a Lua script in the sandbox of recipes."""

from __future__ import annotations

import os
import signal
import sys

import click

from envy.cli.options import envy_command
from envy.cli.output import print_lines
from envy.cli.settings import Settings, absolute_path, current_directory
from envy.console.text import safe_lines, say
from envy.errors import EnvyError
from envy.host.platform import host_platform
from envy.lua.runtime import LuaState, PhaseAccess, SandboxSettings


@envy_command(
    short_help="Run a Lua script with envy's functions.",
    examples=[
        ("envy lua tools/report.lua", "a script with envy.* and io.open"),
        ("envy lua make.lua --release x86_64", "with arguments, in arg and ..."),
    ],
    passes_arguments=True,
)
@click.argument("words", nargs=-1, required=True, type=click.UNPROCESSED, metavar="FILE [ARG]...")
def command(settings: Settings, words: tuple[str, ...]) -> int:
    """Run FILE, a Lua 5.4 script, in the sandbox that recipes have, with `envy.*` and `ENVY_*`.

    It may read and write files; relative paths start from the current folder, and modules of
    `require` lie beside FILE. It starts no programs. All words after FILE are its arguments, in
    `arg` and `...`. `print` and `envy.stdout` write to standard output, the functions for logging
    to standard error. A whole number from 0 to 255 that it returns is the exit code; an error is 1.
    """
    if words[0] == "--" and len(words) > 1:
        words = words[1:]
    path = absolute_path(words[0], what="FILE")

    def log(level: str, message: str) -> None:
        if settings.quiet and level != "error":
            return
        if level != "debug" or settings.verbose:
            prefix = "" if level == "info" else f"{level}: "
            prefix = "warning: " if level == "warn" else prefix
            say(sys.stderr, "\n".join(safe_lines(prefix + message)))

    state = LuaState(
        SandboxSettings(
            platform=host_platform(),
            environment=settings.environment,
            should_stop=lambda: False,
            on_log=log,
            on_stdout=_print,
            on_print=_print,
        ),
        base_dir=path.parent,
    )
    access = PhaseAccess(
        run_dir=current_directory(),
        environment=settings.environment,
        recipe_dir=path.parent,
        may_read=lambda _path: True,
        loads_modules=True,
    )
    _let_ctrl_c_end_it()
    try:
        with state.phase(access):
            result = state.run_script(path, words)
    finally:
        state.close()
    return _exit_code(result, words[0])


def _let_ctrl_c_end_it() -> None:
    # Python's own handler would wait for the end of a function of C, such as a match of minutes.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


def _print(text: str) -> None:
    print_lines([os.fsencode(text)])


def _exit_code(result: object, name: str) -> int:
    """Return the exit code that a script asks for by what it returns.

    Raises:
        EnvyError: it returned something else.
    """
    if result is None or isinstance(result, bool):
        return int(result is False)
    if isinstance(result, int) and 0 <= result < 256:
        return result
    raise EnvyError(
        f"{name} returned {result!r}, which is not an exit code",
        hint="return a whole number from 0 to 255, a boolean or nothing",
    )
