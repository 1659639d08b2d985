"""The options that every command takes, before or after its name, and the command decorator.

Owns how the command line is read: what is written later wins, and nothing after the command of
`envy run` is touched.
"""

import functools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import click
from click.core import ParameterSource

from envy.cli.settings import absolute_path, merge_settings

HELP_OPTIONS = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


@dataclass(slots=True)
class Invocation:
    """One use of the command line: the environment, and what options have said up to now."""

    environment: Mapping[str, str] = field(default_factory=dict)
    given: dict[str, Any] = field(default_factory=dict)


class CommonOption(click.Option):
    """An option that every command takes, and that is no parameter of any."""


def envy_command(
    *, short_help: str, passes_arguments: bool = False, cls: "type[EnvyCommand] | None" = None
) -> Callable[[Callable[..., int | None]], click.Command]:
    """Make a function a command; it is called with the merged Settings and its own parameters.

    What it returns is the exit code, None being success. With `passes_arguments` everything from
    the first argument on is the command's to pass on, however much it looks like an option.
    """

    def decorate(function: Callable[..., int | None]) -> click.Command:
        @functools.wraps(function)
        def run(**parameters: Any) -> int:
            invocation = click.get_current_context().ensure_object(Invocation)
            settings = merge_settings(invocation.given, invocation.environment)
            return function(settings, **parameters) or 0

        command = click.command(
            cls=cls or EnvyCommand,
            short_help=short_help,
            context_settings={**HELP_OPTIONS, "allow_interspersed_args": not passes_arguments},
        )(run)
        command.params += common_options()
        return command

    return decorate


class CommonOptionsMixin(click.Command):
    """Reads `--trace` without a value, and lists the common options apart in the help."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse, an option with an optional value never taking the word after it for one."""
        interspersed = ctx.allow_interspersed_args
        return super().parse_args(
            ctx, _with_optional_values(args, self.get_params(ctx), interspersed=interspersed)
        )

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options of this command, then those of every command."""
        own: list[tuple[str, str]] = []
        common: list[tuple[str, str]] = []
        for parameter in self.get_params(ctx):
            # Arguments are in the usage line, and explained in the text.
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


def common_options() -> list[click.Parameter]:
    """The common options, made anew for each command."""
    path: dict[str, Any] = {"type": click.Path(), "metavar": "PATH"}
    number: dict[str, Any] = {"type": click.IntRange(min=1), "metavar": "N"}
    flag: dict[str, Any] = {"is_flag": True}
    trace: dict[str, Any] = {"multiple": True, "metavar": "[=stderr|=file:PATH|=timeline:PATH]"}
    rows: list[tuple[str, Callable[[Any], dict[str, Any]], str, dict[str, Any]]] = [
        ("--manifest", _path("manifest"), "Use this manifest, not the nearest envy.lua.", path),
        ("--cache-root", _path("cache_root"), "Keep packages in this folder.", path),
        ("-j --jobs", _value("jobs"), "Work at N things at once.", number),
        ("--fetch-jobs", _value("fetch_jobs"), "Download N things at once.", number),
        ("--fail-fast", _value("fail_fast"), "Stop everything at the first failure.", flag),
        ("-y --yes", _value("assume_yes"), "Answer yes to every question.", flag),
        ("-v --verbose", _verbose, "Say more: what is cached, what runs.", flag),
        ("-q --quiet", _quiet, "Say only what went wrong.", flag),
        ("--trace", _traces, "Write every event; file: JSON lines, timeline: for Perfetto.", trace),
        ("--no-progress", _no_progress, "Show plain lines, no live display.", flag),
    ]
    return [
        CommonOption(
            names.split(), expose_value=False, callback=_recorder(meaning), help=text, **attributes
        )
        for names, meaning, text, attributes in rows
    ]


def _recorder(
    meaning: Callable[[Any], dict[str, Any]],
) -> Callable[[click.Context, click.Parameter, Any], None]:
    def record(ctx: click.Context, parameter: click.Parameter, value: Any) -> None:
        # click parses the words before the command first, and each part in the order written, so
        # that to overwrite is to let the later word win.
        if parameter.name and ctx.get_parameter_source(parameter.name) is _WRITTEN:
            ctx.ensure_object(Invocation).given.update(meaning(value))

    return record


_WRITTEN = ParameterSource.COMMANDLINE


def _value(name: str) -> Callable[[Any], dict[str, Any]]:
    return lambda value: {name: value}


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
    for sink in sinks:
        kind, _, path = sink.partition(":")
        if sink == _TRACE_SINK:
            found["trace_stderr"] = True
        elif kind in _TRACE_FILES and path:
            found[_TRACE_FILES[kind]] = absolute_path(path)
        else:
            raise click.UsageError(
                f"--trace={sink} is neither --trace=stderr nor --trace=file:PATH nor "
                "--trace=timeline:PATH"
            )
    return found


_TRACE_SINK = "stderr"
_TRACE_FILES = {"file": "trace_file", "timeline": "trace_timeline"}


def _with_optional_values(
    args: list[str], parameters: Iterable[click.Parameter], *, interspersed: bool
) -> list[str]:
    """The words with a lone `--trace` as `--trace=stderr`.

    click would take the word after it, a command or a query, for its value.
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
    """Whether the word after this one is its value."""
    if word.startswith("--") or not _looks_like_option(word):
        return word in takes_value
    # A cluster of short options, such as -vj 4; in -vj4 the value is in the word itself.
    first = next((i for i, letter in enumerate(word[1:], 1) if f"-{letter}" in takes_value), None)
    return first == len(word) - 1
