"""Projects, their packages, and what kinds run programs with: plain data."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from envy.console.text import format_seconds
from envy.declarations.suite_settings import SuiteSettings
from envy.errors import EnvyError
from envy.host.children import Children
from envy.host.process import Completed, ProcessSpec, run
from envy.testing.package import RunSettings

_LARGEST_PROJECT_FILE = 1 << 20
_LEAST_TO_LIST = 60.0  # seconds


class NotTestable(EnvyError):
    """A project cannot be tested: a program is missing, or its tests cannot be listed."""

    exit_code = 3


class SuiteBuildFailed(EnvyError):
    """The tests of a package, or of a project, could not be built; the text is the output."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteProject:
    """A folder that a kind tests, with the settings of its suite."""

    directory: Path
    settings: SuiteSettings

    @property
    def folder(self) -> str:
        """The folder as text."""
        return str(self.directory)


@dataclass(slots=True, kw_only=True)
class ProjectTests:
    """The tests of one package of a project: what a kind has found. `detail` is the kind's own.

    If `tests` are not known before they run, `is_open` is set, and the tests reported count.
    `data` are texts that are remembered with the tests, and so is that these rest on `rests`: rows
    of (kind, subject) that only the listing has shown.
    """

    project: SuiteProject
    directory: Path
    tests: tuple[str, ...] = ()
    unloaded: frozenset[str] = frozenset()  # of `tests`: files whose tests cannot be listed
    is_open: bool = False
    is_partial: bool = False  # `tests` are those of a file or folder that a pattern names
    name: str = ""  # "": the folder below that of the command
    problem: str = ""  # why these tests cannot be built, as lines
    data: Mapping[str, str] = field(default_factory=dict)
    rests: Sequence[tuple[str, str]] = ()
    detail: object = None


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder in which a kind looks for its project files."""

    path: str
    names: Collection[str]
    note: Callable[[str], None] = lambda _path: None  # is told of each file that decides

    def read(self, name: str) -> str:
        """Return the text of a file in the folder; "" if there is none, or it is too large."""
        if name not in self.names:
            return ""
        path = f"{self.path}/{name}"
        self.note(path)
        try:
            with Path(path).open("rb") as file:
                data = file.read(_LARGEST_PROJECT_FILE + 1)
        except OSError:
            return ""
        return "" if len(data) > _LARGEST_PROJECT_FILE else data.decode("utf-8", "replace")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """What kinds run programs with; the environment is that of the manifest's packages."""

    root: Path  # the folder of the command
    environment: Mapping[str, str]
    children: Children
    scratch: Path  # is removed at the end of the session
    settings: RunSettings
    build_jobs: int = 1
    arguments: tuple[str, ...] = ()  # after `--` on the command line
    coverage: Path | None = None  # the folder of what kinds measure; None: nothing is measured
    ends_at: float | None = None  # the deadline of the session, by time.monotonic
    machine_path: str = ""  # PATH without what the manifest's packages put in front

    def environment_of(self, project: SuiteProject) -> dict[str, str]:
        """Return the variables that programs of a project run with."""
        return {**self.environment, **project.settings.env}

    def find_program(self, name: str, project: SuiteProject | None = None) -> str | None:
        """Return the path of a program on PATH."""
        environment = self.environment if project is None else self.environment_of(project)
        for folder in environment.get("PATH", "").split(os.pathsep):
            path = self.root / folder / name
            if path.is_file() and os.access(path, os.X_OK):
                return str(path)
        return None

    @property
    def listing_timeout(self) -> float | None:
        """The time within which a program has to list its tests, in seconds; None: any.

        A file that waits when it is loaded would never let the run begin.
        """
        limit = self.settings.timeout
        return max(limit, _LEAST_TO_LIST) if limit else None

    def too_slow(self, what: str) -> str:
        """Return the error of a program that did not list its tests in time."""
        limit = format_seconds(self.listing_timeout or 0.0)
        return (
            f"{what} did not list the tests within {limit}\n"
            "hint: does a test file wait for something when it is loaded? --timeout gives more time"
        )

    def is_provided(self, program: str) -> bool:
        """Return whether a program is in a folder that the manifest's packages put on PATH."""
        return os.path.dirname(program) not in self.machine_path.split(os.pathsep)  # noqa: PTH120

    def capture(
        self,
        argv: Sequence[str],
        *,
        cwd: Path,
        environment: Mapping[str, str],
        label: str,
        timeout: float | None = None,
        event_pipe: tuple[int, int] | None = None,
        on_output: Callable[[str, bytes], None] | None = None,
    ) -> Completed:
        """Run a program and return how it ended, with its output.

        Raises:
            ScriptFailed: it could not be started; Cancelled: the command is ending.
        """
        if self.ends_at is not None:
            left = max(0.0, self.ends_at - time.monotonic())
            timeout = left if timeout is None else min(timeout, left)
        return run(
            ProcessSpec(
                argv=argv,
                command=" ".join([Path(argv[0]).name, *argv[1:4], *(["…"] if argv[4:] else [])]),
                cwd=cwd,
                environment=environment,
                children=self.children,
                label=label,
                capture=True,
                timeout=timeout,
                event_pipe=event_pipe,
                on_output=on_output,
            )
        )
