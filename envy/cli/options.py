"""The options that every command takes, before or after its name, and the command decorator.

This module owns how the command line is parsed: the later of two options wins, and the words after
the program of `envy run` are left alone.
"""

import functools
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import click
from click.core import ParameterSource

from envy.cli.settings import absolute_path, merge_settings, take_limits

HELP_OPTIONS = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


@dataclass(slots=True)
class Invocation:
    """One use of the command line: the environment, and the values of the options parsed so far."""

    environment: Mapping[str, str] = field(default_factory=dict)
    given: dict[str, Any] = field(default_factory=dict)


# Command lines with what each of them does; a test parses every one.
Examples = Sequence[tuple[str, str]]


class CommonOption(click.Option):
    """An option that every command takes, and that no command gets as a parameter."""


def envy_command(
    *,
    short_help: str,
    examples: Examples = (),
    passes_arguments: bool = False,
    cls: "type[EnvyCommand] | None" = None,
) -> Callable[[Callable[..., int | None]], click.Command]:
    """Turn a function into a command; it is called with the Settings and its own parameters.

    The function returns the exit code; None means success. With `passes_arguments`, everything from
    the first argument on is passed to the function, even words that look like options.
    """

    def decorate(function: Callable[..., int | None]) -> click.Command:
        @functools.wraps(function)
        def run(**parameters: Any) -> int:
            invocation = click.get_current_context().ensure_object(Invocation)
            take_limits(invocation.environment)
            settings = merge_settings(invocation.given, invocation.environment)
            return function(settings, **parameters) or 0

        command = click.command(
            cls=cls or EnvyCommand,
            short_help=short_help,
            context_settings={**HELP_OPTIONS, "allow_interspersed_args": not passes_arguments},
        )(run)
        command.params += common_options()
        command.examples = examples
        return command

    return decorate


class CommonOptionsMixin(click.Command):
    """Parses `--trace` without a value; its help has examples, and lists common options last."""

    examples: Examples = ()

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse; an option with an optional value never takes the following word as its value."""
        interspersed = ctx.allow_interspersed_args
        return super().parse_args(
            ctx, _with_optional_values(args, self.get_params(ctx), interspersed=interspersed)
        )

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write what the command does, then its examples."""
        super().format_help_text(ctx, formatter)
        if self.examples:
            with formatter.section("Examples"):
                formatter.write_dl(self.examples, col_max=_EXAMPLE_WIDTH)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options of this command, then the common options."""
        own: list[tuple[str, str]] = []
        common: list[tuple[str, str]] = []
        for parameter in self.get_params(ctx):
            # Arguments are in the usage line, and the help text explains them.
            is_option = isinstance(parameter, click.Option)
            record = parameter.get_help_record(ctx) if is_option else None
            if record:
                (common if isinstance(parameter, CommonOption) else own).append(record)
        for title, records in (("Options", own), ("Common options", common)):
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)


class EnvyCommand(CommonOptionsMixin):
    """A command of envy."""


class CommandGroup(CommonOptionsMixin, click.Group):
    """A command with subcommands, which its help lists."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options, then the commands."""
        super().format_options(ctx, formatter)
        with formatter.section("Commands"):
            formatter.write_dl(
                [
                    (name, command.get_short_help_str(80))
                    for name, command in sorted(self.commands.items())
                ]
            )


def common_options() -> list[click.Parameter]:
    """Return the common options; each command needs objects of its own."""
    path: dict[str, Any] = {"type": click.Path(), "metavar": "PATH"}
    number: dict[str, Any] = {"type": click.IntRange(min=1), "metavar": "N"}
    flag: dict[str, Any] = {"is_flag": True}
    trace: dict[str, Any] = {"multiple": True, "metavar": "[=stderr|=file:PATH|=timeline:PATH]"}
    rows: list[tuple[str, Callable[[Any], dict[str, Any]], str, dict[str, Any]]] = [
        (
            "--manifest",
            _path("manifest"),
            "Use this manifest instead of the nearest envy.lua.",
            path,
        ),
        ("--cache-root", _path("cache_root"), "Store packages in this folder.", path),
        ("-j --jobs", _value("jobs"), "Run up to N jobs at once.", number),
        ("--fetch-jobs", _value("fetch_jobs"), "Run up to N downloads at once.", number),
        ("--fail-fast", _value("fail_fast"), "Stop at the first failure.", flag),
        (
            "--offline",
            _value("offline"),
            "Request nothing from elsewhere; what is missing is an error.",
            flag,
        ),
        ("-y --yes", _value("assume_yes"), "Answer yes to every question.", flag),
        ("--locked", _value("locked"), "Fail unless envy.lock is there and complete.", flag),
        *_sharing_options(flag),
        ("-v --verbose", _verbose, "Print more: cached packages and running scripts.", flag),
        ("-q --quiet", _quiet, "Print only errors.", flag),
        (
            "--trace",
            _traces,
            "Write every event: as JSON lines (file), or for Perfetto (timeline).",
            trace,
        ),
        ("--no-progress", _no_progress, "Print plain lines instead of a live display.", flag),
    ]
    return [
        CommonOption(
            names.split(), expose_value=False, callback=_recorder(meaning), help=text, **attributes
        )
        for names, meaning, text, attributes in rows
    ]


def _sharing_options(
    flag: dict[str, Any],
) -> list[tuple[str, Callable[[Any], dict[str, Any]], str, dict[str, Any]]]:
    """Return the rows of the options for packages from elsewhere."""
    return [
        (
            "--depot",
            _depots,
            "Take finished packages from this depot, too; `none` ends the list.",
            {"multiple": True, "metavar": "URL"},
        ),
        ("--depot-write", _value("depot_write"), "Store what is built in the first depot.", flag),
        (
            "--depot-unsigned",
            _value("depot_unsigned"),
            "Take packages that nobody signed from servers, too.",
            flag,
        ),
        (
            "--remote",
            _value("remote"),
            "Share packages and test results by this server: grpc[s]://HOST[/INSTANCE].",
            {"metavar": "URL"},
        ),
        ("--remote-read-only", _value("remote_read_only"), "Store nothing there.", flag),
        (
            "--remote-unsigned",
            _value("remote_unsigned"),
            "Take its packages although the project names depot_keys.",
            flag,
        ),
    ]


def _recorder(
    meaning: Callable[[Any], dict[str, Any]],
) -> Callable[[click.Context, click.Parameter, Any], None]:
    def record(ctx: click.Context, parameter: click.Parameter, value: Any) -> None:
        # click parses the options before the command first, and each part in the order written, so
        # overwriting makes the later option win.
        if parameter.name and ctx.get_parameter_source(parameter.name) is _WRITTEN:
            ctx.ensure_object(Invocation).given.update(meaning(value))

    return record


_WRITTEN = ParameterSource.COMMANDLINE


def _value(name: str) -> Callable[[Any], dict[str, Any]]:
    return lambda value: {name: value}


def _depots(urls: Iterable[str]) -> dict[str, Any]:
    return {"depots": tuple(urls)}


def _path(name: str) -> Callable[[str], dict[str, Any]]:
    option = f"--{name.replace('_', '-')}"
    return lambda text: {name: absolute_path(text, what=option)}


def _verbose(_given: bool) -> dict[str, Any]:  # noqa: FBT001  a flag's value, from click
    return {"verbose": True, "quiet": False}


def _quiet(_given: bool) -> dict[str, Any]:  # noqa: FBT001  a flag's value, from click
    return {"verbose": False, "quiet": True}


def _no_progress(_given: bool) -> dict[str, Any]:  # noqa: FBT001  a flag's value, from click
    return {"progress": False}


def _traces(sinks: Iterable[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for sink in (sink for given in sinks for sink in _BETWEEN_SINKS.split(given)):
        kind, _, path = sink.partition(":")
        if sink == _TRACE_SINK:
            found["trace_stderr"] = True
        elif kind in _TRACE_FILES and path:
            found[_TRACE_FILES[kind]] = absolute_path(path)
        else:
            raise click.UsageError(
                f"--trace={sink} is not valid; use --trace=stderr, --trace=file:PATH or "
                "--trace=timeline:PATH, or several, separated by commas"
            )
    return found


_EXAMPLE_WIDTH = 50  # columns; longer command lines get a line of their own
_TRACE_SINK = "stderr"
_BETWEEN_SINKS = re.compile(r",(?=stderr(?:,|$)|file:|timeline:)")  # a path may have commas
_TRACE_FILES = {"file": "trace_file", "timeline": "trace_timeline"}


def _with_optional_values(
    args: list[str], parameters: Iterable[click.Parameter], *, interspersed: bool
) -> list[str]:
    """Return the words with a lone `--trace` replaced by `--trace=stderr`.

    Otherwise click would take the word after it, a command or a query, as its value.
    """
    takes_value = {
        name
        for parameter in parameters
        if isinstance(parameter, click.Option) and not parameter.is_flag and not parameter.count
        for name in parameter.opts
    }
    words: list[str] = []
    is_value = False
    for position, word in enumerate(args):
        if is_value:
            is_value = False
        elif word == "--" or (not interspersed and not _looks_like_option(word)):
            return words + args[position:]
        elif word == "--trace":
            words.append(f"--trace={_TRACE_SINK}")
            continue
        else:
            is_value = _awaits_value(word, takes_value)
        words.append(word)
    return words


def _looks_like_option(word: str) -> bool:
    return word.startswith("-") and word != "-"


def _awaits_value(word: str, takes_value: set[str]) -> bool:
    """Return whether the next word is the value of this one."""
    if word.startswith("--") or not _looks_like_option(word):
        return word in takes_value
    # A group of short options, such as -vj 4; in -vj4 the value is part of the word.
    first = next((i for i, letter in enumerate(word[1:], 1) if f"-{letter}" in takes_value), None)
    return first == len(word) - 1
