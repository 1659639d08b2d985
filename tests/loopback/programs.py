"""Runs programs for a FetchContext, and records what a fetch reports."""

import os
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from envy.errors import ScriptFailed
from envy.transport import FetchContext, RunProgram


def run_program(
    argv: list[str],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    timeout: float | None = None,
) -> tuple[int, bytes, bytes]:
    """Run a program with subprocess."""
    try:
        done = subprocess.run(
            argv,
            check=False,
            cwd=cwd,
            env=env,
            timeout=timeout,
            capture_output=True,
            stdin=subprocess.DEVNULL,
        )
    except OSError as error:
        raise ScriptFailed(
            command=argv[0], exit_code=127, reason=f"could not start: {error.strerror}"
        ) from error
    return done.returncode, done.stdout, done.stderr


@dataclass
class Recorder:
    """Records the reports of fetches."""

    warnings: list[str] = field(default_factory=list)
    progress: list[tuple[str, int, int]] = field(default_factory=list)
    programs: list[list[str]] = field(default_factory=list)
    pauses: list[float] = field(default_factory=list)

    def context(
        self,
        environment: Mapping[str, str] | None = None,
        *,
        cancelled: Callable[[], bool] = lambda: False,
        run: RunProgram = run_program,
        retries: int = 2,
        **settings: Any,
    ) -> FetchContext:
        def recorded(argv: list[str], **settings: object) -> tuple[int, bytes, bytes]:
            self.programs.append(argv)
            return run(argv, **settings)  # type: ignore[arg-type]

        return FetchContext(
            cancelled=cancelled,
            pause=self.pauses.append,
            progress=lambda uri, done, total: self.progress.append((uri, done, total)),
            warn=self.warnings.append,
            environment={"PATH": os.environ["PATH"]} if environment is None else environment,
            run=recorded,
            retries=retries,
            jitter=lambda: 0.0,
            **settings,
        )
