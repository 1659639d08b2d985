"""The command line itself: options on both sides, help, errors and exit codes."""

import json
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import click
import pytest

from envy import __version__
from envy.cli.main import COMMANDS, CommandEntry, run_command_line
from envy.cli.options import envy_command
from envy.cli.settings import Settings
from envy.errors import (
    Cancelled,
    EnvyError,
    InternalError,
    ManifestError,
    SourceLocation,
    UsageError,
)


@dataclass(frozen=True)
class ReadyEntry(CommandEntry):
    """A command that needs no import: it records its calls, and ends with a given outcome."""

    calls: list[tuple[Settings, tuple[str, ...]]] = field(default_factory=list)
    outcome: int | BaseException | None = None
    passes_arguments: bool = False

    def load(self):
        @envy_command(short_help=self.short_help, passes_arguments=self.passes_arguments)
        @click.argument("words", nargs=-1, type=click.UNPROCESSED)
        def command(settings: Settings, words: tuple[str, ...]) -> int | None:
            """Do it."""
            self.calls.append((settings, words))
            if isinstance(self.outcome, BaseException):
                raise self.outcome
            return self.outcome

        return command


@pytest.fixture
def envy():
    """Run a command line with the commands `act` and `run`; return code, settings and words."""

    def run(*words, environment=None, outcome=None):
        calls = []
        table = {
            "act": ReadyEntry("", "Act.", calls, outcome),
            "run": ReadyEntry("", "Run.", calls, outcome, passes_arguments=True),
        }
        code = run_command_line(words, environment=environment or {}, commands=table)
        settings, rest = calls[0] if calls else (None, None)
        return code, settings, rest

    return run


@pytest.mark.parametrize(
    "words",
    [
        ("--jobs", "3", "act"),
        ("act", "--jobs", "3"),
        ("act", "-j3"),
        ("-j", "9", "act", "--jobs=3"),
        ("-vj", "3", "act"),
    ],
)
def test_common_options_are_taken_on_both_sides(envy, words):
    """An option has the same meaning before and after the command, and the later option wins."""
    assert envy(*words)[1].jobs == 3


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--fetch-jobs", "2"], {"fetch_jobs": 2}),
        (["--fail-fast"], {"fail_fast": True}),
        (["--yes"], {"assume_yes": True}),
        (["-y"], {"assume_yes": True}),
        (["--offline"], {"offline": True}),
        (["--verbose"], {"verbose": True}),
        (["-q"], {"quiet": True}),
        (["--no-progress"], {"progress": False}),
        (["--manifest", "/m/envy.lua"], {"manifest": Path("/m/envy.lua")}),
        (["--cache-root=/c"], {"cache_root": Path("/c")}),
        (["--cache-root", "c"], {"cache_root": Path.cwd() / "c"}),
        (["--trace"], {"trace_stderr": True}),
        (["--trace=stderr"], {"trace_stderr": True}),
        (["--trace=file:/t"], {"trace_file": Path("/t")}),
        (["--trace=timeline:/t"], {"trace_timeline": Path("/t")}),
        (
            ["--trace=timeline:/t", "--trace=file:/f", "--trace"],
            {"trace_timeline": Path("/t"), "trace_file": Path("/f"), "trace_stderr": True},
        ),
        (["--trace=stderr,file:/t"], {"trace_stderr": True, "trace_file": Path("/t")}),
        (
            ["--trace=file:/a,b,timeline:/t,stderr"],
            {
                "trace_stderr": True,
                "trace_file": Path("/a,b"),
                "trace_timeline": Path("/t"),
            },
        ),
        (["--trace", "--trace=file:/t"], {"trace_stderr": True, "trace_file": Path("/t")}),
    ],
)
def test_each_common_option_is_a_setting(envy, words, expected):
    """Each common option changes exactly one setting."""
    assert envy("act", *words) == (0, Settings(**expected), ())


@pytest.mark.parametrize(
    ("words", "verbose"),
    [(("-q", "act", "-v"), True), (("-v", "act", "-q"), False), (("act", "-q", "-v"), True)],
)
def test_the_later_of_verbose_and_quiet_wins(envy, words, verbose):
    """They contradict each other, so the later option wins."""
    _, settings, _ = envy(*words)
    assert (settings.verbose, settings.quiet) == (verbose, not verbose)


@pytest.mark.parametrize(
    ("words", "rest"),
    [
        (("--trace", "act", "query"), ("query",)),
        (("act", "--trace", "query"), ("query",)),
        (("act", "--jobs", "3", "--trace", "query"), ("query",)),
        (("act", "--", "--trace"), ("--trace",)),
    ],
)
def test_trace_without_a_value_does_not_take_the_next_word(envy, words, rest):
    """The word after a lone --trace is a command or an argument."""
    assert envy(*words)[2] == rest


@pytest.mark.parametrize(
    "rest",
    [
        ("cc", "--trace", "-j", "4", "--help"),
        ("cc", "--", "--verbose"),
        ("cc", "-vv", "--jobs=x", ""),
    ],
)
@pytest.mark.parametrize("before", [(), ("--",), ("--quiet",), ("--jobs", "2")])
def test_words_after_a_program_are_passed_on_unchanged(envy, before, rest):
    """Options of the program that `run` starts are not parsed as options of envy."""
    assert envy("run", *before, *rest)[2] == rest


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("act", "--jobs", "0"), "0 is not in the range"),
        (("act", "--jobs", "many"), "'many' is not a valid integer"),
        (("act", "--trace=timeline:"), "or --trace=timeline:PATH"),
        (("act", "--trace=file:"), "is not valid; use --trace=stderr, --trace=file:PATH"),
        (("act", "--tarce"), "--tarce"),
        (("atc",), "there is no command 'atc'; did you mean \"act\"?"),
    ],
)
def test_a_wrong_command_line_is_an_error_with_its_own_code(envy, capsys, words, message):
    """An invalid command line exits with 2, and stderr names the mistake."""
    assert envy(*words) == (2, None, None)
    output, errors = capsys.readouterr()
    assert output == ""
    assert message in errors


@pytest.mark.parametrize(
    ("outcome", "code", "printed"),
    [
        (None, 0, ""),
        (1, 1, ""),
        (130, 130, ""),
        (EnvyError("it broke", hint="mend it"), 1, "error: it broke\n  hint: mend it\n"),
        (UsageError("no such word"), 2, "error: no such word\n"),
        (Cancelled("cancelled"), 130, "cancelled\n"),
        (
            ManifestError("bad", origin=SourceLocation(Path("envy.lua"), 3)),
            1,
            "error: envy.lua:3: bad\n",
        ),
        (EnvyError("\x1b[2Jgone"), 1, "error: \\x1b[2Jgone\n"),
    ],
    ids=str,
)
def test_how_a_command_ends_is_its_exit_code(envy, capsys, outcome, code, printed):
    """A user's mistake prints one message to stderr, and never a traceback."""
    assert envy("act", outcome=outcome)[0] == code
    assert capsys.readouterr() == ("", printed)


@pytest.mark.parametrize("error", [InternalError("lost the key"), KeyError("lost the key")])
def test_a_bug_shows_where_it_is(envy, capsys, error):
    """Only a bug in envy prints a traceback, and asks for a report."""
    assert envy("act", outcome=error)[0] == 1
    errors = capsys.readouterr().err
    assert errors.startswith("Traceback (most recent call last):")
    assert "lost the key" in errors
    assert "please report it" in errors


def test_an_interrupt_before_the_run_is_a_cancellation(envy, capsys):
    """Ctrl-C exits with 130 and prints no traceback."""
    assert envy("act", outcome=KeyboardInterrupt())[0] == 130
    assert "Traceback" not in capsys.readouterr().err


def test_a_wrong_variable_is_an_error_of_the_command_line(envy, capsys):
    """An invalid variable fails like an invalid option."""
    assert envy("act", environment={"ENVY_YES": "maybe"})[0] == 2
    assert "ENVY_YES" in capsys.readouterr().err


@pytest.mark.parametrize("word", ["--help", "-h"])
def test_help_lists_every_command_without_importing_one(word, capsys):
    """Help is printed to stdout, exits with 0, and imports no command."""
    table = {
        name: CommandEntry("absent.module:command", e.short_help) for name, e in COMMANDS.items()
    }
    assert run_command_line([word], environment={}, commands=table) == 0
    output, errors = capsys.readouterr()
    assert errors == ""
    assert all(f"  {name} " in output and e.short_help in output for name, e in COMMANDS.items())


def test_without_a_command_the_help_is_an_error(envy, capsys):
    """A script that omits the command gets exit code 2."""
    assert envy()[0] == 2
    output, errors = capsys.readouterr()
    assert (output, errors.splitlines()[0]) == ("", "Usage: envy [OPTIONS] COMMAND [ARGS]...")


def test_the_help_of_a_command_lists_the_common_options_apart(envy, capsys):
    """The common options come after the options of the command itself."""
    assert envy("act", "--help")[0] == 0
    output = capsys.readouterr().out
    assert output.index("Do it.") < output.index("Common options:") < output.index("--jobs")


def test_the_help_does_not_list_arguments_as_options(envy, capsys):
    """Arguments appear in the usage line only."""
    envy("act", "--help")
    usage, _, options = capsys.readouterr().out.partition("Options:")
    assert "WORDS" in usage
    assert "WORDS" not in options


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_in_the_table_is_that_of_the_command(name):
    """`envy --help`, which imports no command, shows the short help that each command declares."""
    assert COMMANDS[name].short_help == COMMANDS[name].load().short_help


@pytest.mark.parametrize("words", [["version"], ["--version"]])
def test_the_version_is_printed(words, capsys):
    """The command and the option print the same line."""
    assert run_command_line(words, environment={}) == 0
    assert capsys.readouterr() == (f"envy {__version__}\n", "")


def test_a_verbose_version_says_what_it_runs_on(capsys):
    """A bug report needs the interpreter and the platform."""
    assert run_command_line(["version", "--verbose"], environment={}) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == [
        "envy",
        "python",
        "platform",
    ]


def test_the_trace_schema_is_json(capsys):
    """The printed schema is valid JSON."""
    assert run_command_line(["trace-schema"], environment={}) == 0
    assert json.loads(capsys.readouterr().out)["title"] == "envy trace"


def test_the_module_is_the_command():
    """`python -m envy` runs the same command line as `envy`."""
    run = subprocess.run(
        [sys.executable, "-m", "envy", "version"], capture_output=True, text=True, check=True
    )
    assert run.stdout == f"envy {__version__}\n"


def test_a_closed_pipe_is_not_a_bug():
    """`envy trace-schema | head -1` prints no traceback."""
    child = subprocess.Popen(
        [sys.executable, "-m", "envy", "trace-schema"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    child.stdout.close()
    errors = child.stderr.read()
    child.stderr.close()
    child.wait()
    assert "Traceback" not in errors
