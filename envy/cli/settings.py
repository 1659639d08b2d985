"""The common options of every command, merged with the environment.

This module owns the precedence: an option after the command, an option before it, the environment,
the default. It is passed the environment, and does not read it.
"""

import os.path
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from envy.console.verbosity import Verbosity
from envy.errors import EnvyError, UsageError
from envy.limits import LIMITS, adopt_limits, parse_limits

# Variables whose values are words for yes or no, and the settings that they give.
YES_OR_NO = {
    "ENVY_YES": "assume_yes",
    "ENVY_OFFLINE": "offline",
    "ENVY_LOCKED": "locked",
    "ENVY_DEPOT_WRITE": "depot_write",
    "ENVY_DEPOT_UNSIGNED": "depot_unsigned",
    "ENVY_REMOTE_READ_ONLY": "remote_read_only",
    "ENVY_REMOTE_UNSIGNED": "remote_unsigned",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The common options; None where nothing was given. Paths are absolute."""

    manifest: Path | None = None
    cache_root: Path | None = None
    jobs: int | None = None
    fetch_jobs: int | None = None
    fail_fast: bool = False
    assume_yes: bool = False
    offline: bool = False
    verbose: bool = False
    quiet: bool = False
    progress: bool = True
    locked: bool = False  # envy.lock has to be there and complete
    depots: tuple[str, ...] = ()  # of the command line
    depot_write: bool = False
    remote: str = ""  # a server of the Remote Execution API
    remote_read_only: bool = False
    remote_exec: bool = False  # it runs scripts of recipes, too
    remote_jobs: int = 16  # of these at once
    remote_unsigned: bool = False  # entries are taken from it where `depot_keys` are named, too
    depot_unsigned: bool = False  # entries that nobody signed are taken from servers, too
    trace_stderr: bool = False
    trace_file: Path | None = None
    trace_timeline: Path | None = None
    environment: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)

    @property
    def traces(self) -> bool:
        """Whether a trace of every event is requested."""
        return self.trace_stderr or bool(self.trace_file or self.trace_timeline)

    @property
    def verbosity(self) -> Verbosity:
        """How much the console prints."""
        if self.quiet:
            return Verbosity.QUIET
        return Verbosity.VERBOSE if self.verbose else Verbosity.NORMAL


def merge_settings(given: Mapping[str, Any], environment: Mapping[str, str]) -> Settings:
    """Return the settings for a command with these options.

    Raises:
        UsageError: a variable of the environment has an invalid value.
    """
    return Settings(**{**_from_environment(environment), **given}, environment=environment)


def take_limits(environment: Mapping[str, str]) -> None:
    """Use the limits of ENVY_LIMITS in this process.

    Raises:
        UsageError: a limit is unknown, or its value is not valid.
    """
    try:
        adopt_limits(parse_limits(environment.get("ENVY_LIMITS", "")))
    except ValueError as error:
        raise UsageError(
            f"ENVY_LIMITS: {error}",
            hint=f"write ENVY_LIMITS=NAME=SIZE,…; the names are {', '.join(sorted(LIMITS))}",
        ) from error


def _from_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    manifest = environment.get("ENVY_MANIFEST")
    if manifest:
        found["manifest"] = absolute_path(manifest)
    cache_root = environment.get("ENVY_CACHE_ROOT")
    if cache_root:
        found["cache_root"] = _cache_root(cache_root)
    remote = environment.get("ENVY_REMOTE")
    if remote:
        found["remote"] = remote
    for variable, name in YES_OR_NO.items():
        if environment.get(variable):
            found[name] = _yes_or_no(variable, environment[variable])
    return found


def absolute_path(text: str, *, what: str = "a path") -> Path:
    """Return the absolute path for a text, which may be relative to the current directory.

    Raises:
        UsageError: it is empty; EnvyError: it is relative to a directory that was removed.
    """
    if not text:
        raise UsageError(f"{what} is empty", hint=f"give {what} a path, or leave it out")
    path = _expanded(text)
    return path if path.is_absolute() else current_directory() / path


def current_directory() -> Path:
    """Return the directory in which envy was started.

    Raises:
        EnvyError: it has been removed.
    """
    try:
        return Path.cwd()
    except OSError as error:
        raise EnvyError(
            "the current directory has been removed",
            hint="change to an existing directory: cd PATH",
        ) from error


def _expanded(text: str) -> Path:
    # Path.expanduser fails for an unknown user; a shell leaves such a word unchanged.
    return Path(os.path.expanduser(text))  # noqa: PTH111


def _cache_root(text: str) -> Path:
    # A variable outlives the directory it was set in, so a relative path would name many caches.
    path = _expanded(text)
    if not path.is_absolute():
        raise UsageError(
            f"ENVY_CACHE_ROOT is {text!r}, which is not an absolute path",
            hint=f"set ENVY_CACHE_ROOT={current_directory() / path}, or use --cache-root {text}",
        )
    return path


def _yes_or_no(name: str, text: str) -> bool:
    word = text.strip().lower()
    if word in ("1", "true", "yes", "on"):
        return True
    if word in ("0", "false", "no", "off"):
        return False
    raise UsageError(f"{name} is {text!r}, which is neither yes nor no", hint=f"set {name}=1 or 0")
