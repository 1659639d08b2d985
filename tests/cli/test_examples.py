"""The examples in the help of each command."""

import copy
import shlex

import click
import pytest

from envy.cli.main import COMMANDS, CommandEntry, LazyGroup, run_command_line


class RecordingEntry(CommandEntry):
    """A command that is parsed as usual, and records its path instead of doing anything."""

    def __init__(self, entry, path, calls):
        super().__init__(entry.target, entry.short_help)
        object.__setattr__(self, "recording", recording(entry.load(), path, calls))

    def load(self):
        return self.recording


def recording(command, path, calls):
    """Return a copy of a command that appends its path to `calls`."""
    command = copy.copy(command)
    command.callback = lambda **_: calls.append(path)
    if isinstance(command, click.Group):
        command.commands = {
            name: recording(child, f"{path} {name}", calls)
            for name, child in command.commands.items()
        }
    return command


def commands():
    """Yield the path and the object of every command."""
    yield "envy", LazyGroup(COMMANDS)
    for name, entry in COMMANDS.items():
        command = entry.load()
        yield f"envy {name}", command
        for child in getattr(command, "commands", {}):
            yield f"envy {name} {child}", command.commands[child]


EXAMPLES = [(path, line) for path, command in commands() for line, _ in command.examples]


def parsed_as(line):
    """Return the path of the command that a command line is parsed as."""
    program, *words = shlex.split(line)
    calls = []
    table = {name: RecordingEntry(entry, f"envy {name}", calls) for name, entry in COMMANDS.items()}
    assert program == "envy"
    assert run_command_line(words, environment={}, commands=table) == 0
    return calls[-1]


@pytest.mark.parametrize(("path", "command"), list(commands()), ids=str)
def test_every_command_has_examples(path, command):
    """The help of each command shows two or three uses, each with what it does."""
    assert len(command.examples) in {2, 3, 4}
    text = command.get_help(click.Context(command, info_name=path, terminal_width=100))
    rows = text.partition("\nExamples:\n")[2]
    assert all(line in rows and meaning in rows for line, meaning in command.examples)


@pytest.mark.parametrize(("path", "line"), EXAMPLES)
def test_every_example_is_a_valid_command_line(path, line):
    """Each example is parsed without an error."""
    assert parsed_as(line).startswith("envy ")


@pytest.mark.parametrize(
    ("path", "command"), [row for row in commands() if row[0] != "envy"], ids=str
)
def test_an_example_is_of_its_own_command(path, command):
    """The first example of a command uses that command, or its subcommand if it needs one."""
    used = parsed_as(next(line for owner, line in EXAMPLES if owner == path))
    needs_more = isinstance(command, click.Group) and not command.invoke_without_command
    assert used.startswith(f"{path} ") if needs_more else used == path
