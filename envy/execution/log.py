"""The log of one phase of one recipe: the output of its scripts, and the recipe's messages.

A log file is created in the folder of this attempt at the first write. Secrets are masked before
anything is written or emitted.
"""

from __future__ import annotations

import errno
from collections import deque
from pathlib import Path

from envy.cache.entry_key import canonical_identity_hash
from envy.cache.filesystem import explained
from envy.cache.names import DIGITS
from envy.events import OutputLine
from envy.execution.git_history import asks_git
from envy.execution.log_file import LogFile
from envy.execution.recipe_events import RecipeEvents
from envy.execution.services import Services
from envy.graph.recipe import Recipe
from envy.host.shell import LineSplitter
from envy.masking import masked, masked_bytes
from envy.phase import RecipePhase

_TAIL_BYTES = 16384
_LONGEST_SHOWN = 1000
_QUOTED_LINES = 10
_LONGEST_TAIL_LINE = 400
_COMMAND = "$ "
# These phases change nothing in the cache; in one that may only be read, they have no log.
_WITHOUT_CACHE = frozenset({RecipePhase.CHECK, RecipePhase.COMPLETION})
_READ_ONLY = frozenset({errno.EROFS, errno.EACCES, errno.EPERM})
_DEBUG = "[debug] "


class PhaseLog:
    """Writes the output of a phase to its log file and to the listeners."""

    def __init__(
        self,
        recipe: Recipe,
        services: Services,
        phase: RecipePhase,
    ) -> None:
        self._recipe = recipe
        self._services = services
        self._events = RecipeEvents(recipe, services.events)
        self._phase = phase
        self._splitters = {"stdout": LineSplitter(), "stderr": LineSplitter()}
        self._file: LogFile | None = None
        self._recent: deque[bytes] = deque(maxlen=_QUOTED_LINES)
        self.asked_git = False  # a script of this phase asked git, which found no repository

    def output(self, stream: str, chunk: bytes, *, quiet: bool = False) -> None:
        """Add bytes that a child wrote; whole lines are masked, written and emitted."""
        lines = self._splitters[stream].feed(chunk)
        if lines:
            self._write_lines(stream, lines, quiet=quiet)

    def end_of_output(self, *, quiet: bool = False) -> None:
        """Treat what an ended child left without a newline as a line."""
        for stream, splitter in self._splitters.items():
            rest = splitter.finish()
            if rest:
                self._write_lines(stream, rest, quiet=quiet)

    def command(self, command: str) -> None:
        """Write the command that is about to run."""
        self._recent.clear()
        lines = masked(command).splitlines()
        text = "\n".join(f"{_COMMAND}{line}" for line in lines)
        if lines:
            self._write(text.encode("utf-8", "surrogateescape"))

    def recent_output(self) -> str:
        """Return the last lines of the last command's output, for an error that quotes them."""
        lines = (line.decode("utf-8", "replace") for line in self._recent)
        return "\n".join(_clipped(line) for line in lines)

    def say(self, level: str, message: str) -> None:
        """Write and emit a message of the recipe, or of envy about the recipe."""
        text = masked_bytes(message.encode("utf-8", "surrogateescape"))
        self._write(f"[{level}] ".encode() + text)
        self._events.log(level, text.decode("utf-8", "replace"))

    def close(self) -> None:
        """Write unfinished lines and close the file."""
        self.end_of_output()
        if self._file is not None:
            self._file.close()
            self._file = None

    def _write_lines(self, stream: str, lines: list[bytes], *, quiet: bool) -> None:
        # The splitter has masked them, before it has cut what is too long.
        self._recent.extend(lines)
        data = b"\n".join(lines)
        self._write(data)
        # All lines at once: few builds ask git, and many print a lot.
        if not self.asked_git and asks_git(data):
            self.asked_git = any(map(asks_git, lines))
        if quiet or not self._services.events.hears(OutputLine):
            return
        for line in lines:
            shown = line[:_LONGEST_SHOWN].decode("utf-8", "replace")
            self._events.output_line(self._phase, stream, shown)

    def _write(self, lines: bytes) -> None:
        path = log_dir_of(self._recipe, self._services) / f"{self._phase.label}.log"
        try:
            if self._file is None:
                self._file = LogFile(path)
                self._recipe.work.log_path = path
            self._file.write(lines + b"\n")
        except OSError as error:
            if error.errno in _READ_ONLY and self._phase in _WITHOUT_CACHE:
                return
            raise explained(error, doing="write a log", path=str(path)) from error


def report(recipe: Recipe, services: Services, level: str, message: str) -> None:
    """Emit a message of a recipe; the level `stdout` is for results."""
    events = RecipeEvents(recipe, services.events)
    if level == "stdout":
        events.standard_output(message)
    else:
        events.log(level, message)


def log_dir_of(recipe: Recipe, services: Services) -> Path:
    """Return the folder of this attempt's logs, named after the entry key or the canonical key."""
    if recipe.work.log_dir is None or (recipe.entry_key and not _is_for_entry(recipe)):
        recipe.work.log_dir = services.layout.log_dir(
            recipe.key.identity, log_key(recipe), services.stamp
        )
    return recipe.work.log_dir


def log_key(recipe: Recipe) -> str:
    """Return the 16 digits that name the folder of a recipe's logs."""
    return (recipe.entry_key or canonical_identity_hash(recipe.key.canonical))[:DIGITS]


def log_tail(path: Path | None, *, lines: int) -> list[str]:
    """Return the last lines of a log, without debug messages; [] if it holds only commands."""
    if path is None:
        return []
    try:
        with path.open("rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - _TAIL_BYTES))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return []
    shown = [line for line in text.splitlines() if not line.startswith(_DEBUG)]
    tail = [_clipped(line) for line in shown[-lines:]]
    return tail if any(not line.startswith(_COMMAND) for line in tail) else []


def _clipped(line: str) -> str:
    return line if len(line) <= _LONGEST_TAIL_LINE else line[: _LONGEST_TAIL_LINE - 1] + "…"


def _is_for_entry(recipe: Recipe) -> bool:
    return (
        recipe.work.log_dir is not None
        and recipe.work.log_dir.parent.name == recipe.entry_key[:DIGITS]
    )
