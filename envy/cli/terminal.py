"""The user at the terminal: asked for consent, and lent to one interactive program at a time."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Callable, Iterator, Sequence

from envy.cli.listeners import suspended
from envy.errors import EnvyError
from envy.events import Listener
from envy.interpreter import released


class UserTerminal:
    """Consent is asked for once in a run; the answer holds for all of it."""

    def __init__(self, listeners: Sequence[Listener], *, assume_yes: bool) -> None:
        self._listeners = listeners
        self._lock = threading.Lock()
        self._consented = assume_yes
        self._refusal: tuple[str, str] | None = None  # why not, and what to do
        self.asking = False  # a question stands on the terminal, and nobody has answered

    def consent(self, list_packages: Callable[[], Sequence[str]]) -> None:
        """Ask whether user-managed packages may be installed: those listed, should it be asked.

        Raises:
            EnvyError: the answer is no, or nobody can be asked.
        """
        with self._exclusively():
            if not self._consented and self._refusal is None:
                self._refusal = self._ask(list_packages())
                self._consented = self._refusal is None
            if self._refusal is not None:
                message, hint = self._refusal
                raise EnvyError(message, hint=hint)

    def _ask(self, packages: Sequence[str]) -> tuple[str, str] | None:
        """None when the user agrees, else why not."""
        listed = "\n".join(f"    {package}" for package in packages)
        question = f"these packages change this machine, outside envy's cache:\n{listed}"
        if not _is_interactive():
            return question, "without a terminal, say --yes or set ENVY_YES=1 to install them"
        with suspended(self._listeners), released():
            sys.stderr.write(f"{question}\ninstall them? [y/N] ")
            sys.stderr.flush()
            self.asking = True
            line = sys.stdin.readline()
            self.asking = False
            if not line:  # the end of input, which leaves the cursor after the question
                sys.stderr.write("\n")
        answer = line.strip().lower()
        if answer in {"y", "yes"}:
            return None
        return "not installed, as you said", "--yes installs without asking"

    @contextlib.contextmanager
    def lent(self) -> Iterator[None]:
        """The terminal, for one program at a time.

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
        # Waited for without the interpreter slot: whoever has the terminal needs that to go on.
        with released():
            self._lock.acquire()
        try:
            yield
        finally:
            self._lock.release()


def _is_interactive() -> bool:
    return sys.stdin.isatty() and sys.stderr.isatty()
