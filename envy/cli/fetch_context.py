"""What a command uses to reach registries by itself, outside of a session."""

from __future__ import annotations

import sys
import threading
from collections.abc import Mapping
from pathlib import Path

from envy.console.text import safe_line, say
from envy.host.children import Children
from envy.host.process import run_argv
from envy.transport.context import FetchContext


def command_context(environment: Mapping[str, str], *, offline: bool = False) -> FetchContext:
    """Return the context of fetches whose command ends at Ctrl-C like any program."""
    never = threading.Event()

    def pause(seconds: float) -> None:
        never.wait(seconds)

    return FetchContext(
        cancelled=lambda: False,
        pause=pause,
        progress=lambda _uri, _done, _total: None,
        warn=lambda text: say(sys.stderr, safe_line(f"warning: {text}")),
        environment=environment,
        run=run_program,
        offline=offline,
    )


def run_program(
    argv: list[str],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    timeout: float | None = None,
) -> tuple[int, bytes, bytes]:
    """Run a program to its end and return (exit code, stdout, stderr).

    Raises:
        ScriptFailed: the program does not exist.
    """
    completed = run_argv(
        argv,
        cwd=cwd or Path("/"),
        environment=env or {},
        children=Children(),
        capture=True,
        timeout=timeout,
    )
    return completed.exit_code, completed.stdout, completed.stderr
