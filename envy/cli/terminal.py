"""The user's terminal: asks for consent, and is lent to one interactive program at a time."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Callable, Iterator, Sequence

from envy.cli.listeners import suspended
from envy.errors import EnvyError
from envy.events import Listener
from envy.interpreter import released
from envy.masking import masked


class UserTerminal:
    """Asks for consent at most once in a run; the answer holds for the whole run."""

    def __init__(self, listeners: Sequence[Listener], *, assume_yes: bool) -> None:
        self._listeners = listeners
        self._lock = threading.Lock()
        self._consented = assume_yes
        self._refusal: tuple[str, str] | None = None  # the message and its hint
        self.asking = False  # whether a question on the terminal awaits its answer

    def consent(self, list_packages: Callable[[], Sequence[str]]) -> None:
        """Ask whether the listed user-managed packages may be installed, unless already answered.

        Raises:
            EnvyError: the answer is no, or there is no terminal to ask at.
        """
        with self._exclusively():
            if not self._consented and self._refusal is None:
                self._refusal = self._ask(list_packages())
                self._consented = self._refusal is None
            if self._refusal is not None:
                message, hint = self._refusal
                raise EnvyError(message, hint=hint)

    def _ask(self, packages: Sequence[str]) -> tuple[str, str] | None:
        """Return None if the user agrees, or else the message and hint of the error."""
        listed = "\n".join(f"    {package}" for package in packages)
        question = f"these packages change this machine, outside envy's cache:\n{listed}"
        if not _is_interactive():
            return question, "without a terminal, use --yes or set ENVY_YES=1 to install them"
        with suspended(self._listeners), released():
            sys.stderr.write(f"{masked(question)}\ninstall them? [y/N] ")
            sys.stderr.flush()
            self.asking = True
            line = sys.stdin.readline()
            self.asking = False
            if not line:  # end of input, which leaves the cursor after the question
                sys.stderr.write("\n")
        answer = line.strip().lower()
        if answer in {"y", "yes"}:
            return None
        return "not installed, because you declined", "--yes installs without asking"

    @contextlib.contextmanager
    def lent(self) -> Iterator[None]:
        """Lend the terminal to one program at a time.

        Raises:
            EnvyError: there is no terminal.
        """
        if not _is_interactive():
            raise EnvyError(
                "interactive = true needs a terminal, and there is none",
                hint="run envy from a terminal, or let the recipe ask nothing",
            )
        with self._exclusively(), suspended(self._listeners):
            yield

    @contextlib.contextmanager
    def _exclusively(self) -> Iterator[None]:
        # Waits without the interpreter slot, which the user of the terminal needs to finish.
        with released():
            self._lock.acquire()
        try:
            yield
        finally:
            self._lock.release()


def _is_interactive() -> bool:
    return sys.stdin.isatty() and sys.stderr.isatty()
