"""What a command uses to reach registries by itself, outside of a session."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from envy.console.text import safe_line, say
from envy.host.children import Children
from envy.host.process import run_argv
from envy.transport.context import FetchContext

if TYPE_CHECKING:
    from envy.cache.downloads import Downloads


def command_context(
    environment: Mapping[str, str],
    *,
    offline: bool = False,
    progress: Callable[[str, int, int], None] = lambda _uri, _done, _total: None,
    kept: Downloads | None = None,
) -> FetchContext:
    """Return the context of fetches whose command ends at Ctrl-C like any program."""
    never = threading.Event()

    def pause(seconds: float) -> None:
        never.wait(seconds)

    return FetchContext(
        cancelled=lambda: False,
        pause=pause,
        progress=progress,
        warn=lambda text: say(sys.stderr, safe_line(f"warning: {text}")),
        environment=environment,
        run=run_program,
        offline=offline,
        kept=kept,
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
