"""The `envy` command line: the table of commands, and how the run of a command ends.

This module owns the printing of errors and the mapping from an error to an exit code. The module of
a command is imported only when that command runs, and never for `envy --help`.
"""

import errno
import gc
import importlib
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import click

from envy import __version__
from envy.cli.exit_codes import CANCELLED, FAILURE, SUCCESS, USAGE
from envy.cli.options import HELP_OPTIONS, CommonOptionsMixin, Invocation, common_options
from envy.console.text import safe_lines, say
from envy.environment import environment as host_environment
from envy.errors import Cancelled, EnvyError, InternalError, internal_error
from envy.host.platform import discard_output, open_standard_streams

_OUTPUT_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EPIPE, errno.EBADF}


@dataclass(frozen=True, slots=True)
class CommandEntry:
    """A command that is imported on first use: `module:attribute`, and its line in the help."""

    target: str
    short_help: str

    def load(self) -> click.Command:
        """Import the command."""
        module, _, attribute = self.target.partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command


COMMANDS: dict[str, CommandEntry] = {
    "init": CommandEntry("envy.cli.init:command", "Create envy.lua."),
    "add": CommandEntry("envy.cli.add:command", "Add packages to envy.lua, and install them."),
    "new": CommandEntry("envy.cli.new:command", "Write a recipe, and add it to envy.lua."),
    "remove": CommandEntry("envy.cli.remove:command", "Remove packages from envy.lua."),
    "outdated": CommandEntry(
        "envy.cli.outdated:command", "Show which packages of envy.lua have newer versions."
    ),
    "upgrade": CommandEntry(
        "envy.cli.upgrade:command", "Write newer versions into envy.lua, and install them."
    ),
    "list": CommandEntry(
        "envy.cli.list_packages:command",
        "List the project's packages, or what ships with envy.",
    ),
    "search": CommandEntry(
        "envy.cli.search:command", "Search the recipes of envy and of bundles, or a registry."
    ),
    "sync": CommandEntry("envy.cli.sync:command", "Install the packages that envy.lua lists."),
    "asset": CommandEntry("envy.cli.asset:command", "Print the path of a package."),
    "product": CommandEntry(
        "envy.cli.product:command", "Print the path of a product, or list all products."
    ),
    "run": CommandEntry("envy.cli.run:command", "Run a program with the project's packages."),
    "x": CommandEntry("envy.cli.x:command", "Run a tool once, without a manifest."),
    "env": CommandEntry(
        "envy.cli.env:command", "Print the variables that programs of the project run with."
    ),
    "hook": CommandEntry("envy.cli.hook:command", "Let a shell use the project of its folder."),
    "completion": CommandEntry("envy.cli.completion:command", "Print the completions of a shell."),
    "shell": CommandEntry(
        "envy.cli.shell:command", "Open a shell where a phase of a package runs."
    ),
    "test": CommandEntry(
        "envy.cli.test:command", "Build tests in parallel, then run them in order."
    ),
    "lock": CommandEntry(
        "envy.cli.lock:command", "Write what envy.lua resolves to into envy.lock."
    ),
    "bootstrap": CommandEntry(
        "envy.cli.bootstrap:command", "Write envyw, a script that installs envy and runs it."
    ),
    "plan": CommandEntry("envy.cli.plan:command", "Show what sync would do, without doing it."),
    "graph": CommandEntry(
        "envy.cli.graph:command", "Show the dependency graph, as text or as a picture."
    ),
    "why": CommandEntry("envy.cli.why:command", "Show why a package is needed."),
    "cache": CommandEntry("envy.cli.cache:command", "Show, verify or clean the cache."),
    "why-rebuild": CommandEntry(
        "envy.cli.why_rebuild:command", "Explain why a package would be rebuilt."
    ),
    "export": CommandEntry("envy.cli.export_packages:command", "Write packages into a file."),
    "import": CommandEntry(
        "envy.cli.import_packages:command", "Add exported packages to the cache."
    ),
    "fetch": CommandEntry("envy.cli.fetch:command", "Fetch a file, a repository or a folder."),
    "git-resolve": CommandEntry(
        "envy.cli.git_resolve:command", "Print the commit that a branch or tag names."
    ),
    "extract": CommandEntry("envy.cli.extract:command", "Unpack an archive, or list it."),
    "hash": CommandEntry("envy.cli.hash:command", "Print or check the digests of files."),
    "lua": CommandEntry("envy.cli.lua:command", "Run a Lua script with envy's functions."),
    "depot": CommandEntry("envy.cli.depot:command", "Share finished packages between machines."),
    "remote": CommandEntry(
        "envy.cli.remote:command", "Work with the server that packages are shared by."
    ),
    "doctor": CommandEntry(
        "envy.cli.doctor:command", "Show what envy runs on, and what is wrong with it."
    ),
    "version": CommandEntry("envy.cli.version:command", "Print the version of envy."),
    "trace-schema": CommandEntry(
        "envy.cli.trace_schema:command", "Print the JSON Schema of --trace=file:PATH."
    ),
}


class LazyGroup(CommonOptionsMixin, click.Group):
    """The `envy` command itself, over a table of commands."""

    examples = (
        ("envy add ninja cmake", "add two tools to envy.lua"),
        ("envy sync", "install what envy.lua lists"),
        ("envy run -- cmake --version", "run a program of the project"),
        ("envy asset python", "print the path of a package"),
    )

    def __init__(self, table: Mapping[str, CommandEntry]) -> None:
        super().__init__(
            name="envy",
            help="Install the tools and libraries that a project's envy.lua lists.",
            params=[*common_options(), _version_option()],
            context_settings=HELP_OPTIONS,
            invoke_without_command=True,
            subcommand_metavar="COMMAND [ARGS]...",
            callback=_without_command,
        )
        self._table = table

    def list_commands(self, _ctx: click.Context) -> list[str]:
        """Return the names, in the order of the table."""
        return list(self._table)

    def get_command(self, _ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command of that name, imported."""
        entry = self._table.get(cmd_name)
        return entry.load() if entry else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, or suggest a similar name."""
        if args and args[0] not in self._table and not args[0].startswith("-"):
            from envy.suggest import did_you_mean

            raise click.UsageError(
                f"there is no command {args[0]!r}; {did_you_mean(args[0], self._table)}", ctx
            )
        return super().resolve_command(ctx, args)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands before the options, because readers look for those first."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.short_help) for name, entry in self._table.items()])
        super().format_options(ctx, formatter)
        formatter.write_paragraph()
        formatter.write_text("`envy COMMAND --help` describes a command.")


def _version_option() -> click.Option:
    def show(ctx: click.Context, _parameter: click.Parameter, value: bool) -> None:  # noqa: FBT001
        if value and not ctx.resilient_parsing:
            click.echo(f"envy {__version__}")
            ctx.exit()

    return click.Option(
        ["--version"],
        is_flag=True,
        is_eager=True,
        expose_value=False,
        callback=show,
        help="Print the version and exit.",
    )


@click.pass_context
def _without_command(ctx: click.Context) -> None:
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help(), err=True)
        ctx.exit(USAGE)


def main() -> None:
    """Run the command line of this process, and exit."""
    open_standard_streams()
    code = run_command_line(sys.argv[1:], environment=host_environment())
    try:
        sys.stdout.flush()
    except OSError as error:
        code = code or report_output(error)
    # Everything else ends with the process. Without this, the interpreter would search a graph of
    # thousands for cycles on exit, which took a tenth of a large sync.
    gc.freeze()
    sys.exit(code)


def run_command_line(
    arguments: Sequence[str],
    *,
    environment: Mapping[str, str],
    commands: Mapping[str, CommandEntry] = COMMANDS,
) -> int:
    """Run one command, print its error if it fails, and return the exit code."""
    try:
        code = LazyGroup(commands).main(
            list(arguments),
            prog_name="envy",
            standalone_mode=False,
            obj=Invocation(environment=environment),
        )
    except (click.Abort, KeyboardInterrupt):
        return CANCELLED
    except Exception as error:  # noqa: BLE001  every error is printed and becomes a code
        return _code_of(error, environment)
    return code if isinstance(code, int) else SUCCESS


def _code_of(error: Exception, environment: Mapping[str, str]) -> int:
    """Print an error that ended a command; return its exit code."""
    match error:
        case EnvyError():
            return _report(error, environment)
        case click.UsageError():
            return _report_usage(error, environment)
        case click.ClickException():
            _print_error(error.format_message(), environment)
            return error.exit_code
        # An error of standard output has no file name; an error of any other file has one.
        case OSError(filename=None) if error.errno in _OUTPUT_ERRORS:
            return report_output(error)
    # The traceback is printed before the message, and is not part of it.
    return _report(internal_error(error, shows_traceback=False), environment, bug=error)


def report_output(error: OSError) -> int:
    """Report that the result could not be written, unless the reader has closed the pipe."""
    if not isinstance(error, BrokenPipeError):
        _print_error(f"cannot write to standard output: {error.strerror}", {})
    discard_output()
    return FAILURE


def _report(
    error: EnvyError, environment: Mapping[str, str], *, bug: BaseException | None = None
) -> int:
    if isinstance(error, InternalError):
        # Only a bug in envy needs a traceback.
        import traceback

        for line in "".join(traceback.format_exception(bug or error)).splitlines():
            say(sys.stderr, "\n".join(safe_lines(line)))
    if isinstance(error, Cancelled):
        say(sys.stderr, "\n".join(safe_lines(str(error))))
    else:
        _print_error(str(error), environment)
    return error.exit_code


def _report_usage(error: click.UsageError, environment: Mapping[str, str]) -> int:
    if error.ctx:
        say(sys.stderr, error.ctx.get_usage())
    _print_error(error.format_message(), environment)
    if error.ctx:
        say(sys.stderr, f"Try '{error.ctx.command_path} --help' for help.")
    return USAGE


def _print_error(text: str, environment: Mapping[str, str]) -> None:
    from envy.console.say_styled import say_styled

    say_styled(sys.stderr, safe_lines(f"error: {text}"), environment)
