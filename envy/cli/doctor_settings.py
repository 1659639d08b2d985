"""The part of `envy doctor` about configuration and terminal: values, and who gave each."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from envy.cli.doctor_report import Report
from envy.cli.options import Invocation
from envy.cli.settings import Settings, current_directory, merge_settings, take_limits
from envy.cli.wiring import DEFAULT_FETCH_JOBS
from envy.console.colours import has_colours
from envy.console.drawing import can_draw
from envy.declarations.manifest_search import (
    MANIFEST_NAME,
    find_manifest,
    global_manifest,
    nearest_manifest,
)
from envy.engine.lock_use import lock_path
from envy.errors import EnvyError
from envy.host.platform import available_cores
from envy.limits import LIMITS
from envy.locking.lock import RECIPE
from envy.locking.text import read_lock

_GLOBAL = "no other is found"


OPTION_VARIABLES = {
    "manifest": "ENVY_MANIFEST",
    "cache_root": "ENVY_CACHE_ROOT",
    "assume_yes": "ENVY_YES",
    "offline": "ENVY_OFFLINE",
    "locked": "ENVY_LOCKED",
    "depot_write": "ENVY_DEPOT_WRITE",
    "depot_unsigned": "ENVY_DEPOT_UNSIGNED",
    "remote": "ENVY_REMOTE",
    "remote_read_only": "ENVY_REMOTE_READ_ONLY",
    "remote_unsigned": "ENVY_REMOTE_UNSIGNED",
}
DEFAULT = "default"


def usable_settings(report: Report, invocation: Invocation) -> Settings:
    """Return the settings, without the variables that are not valid: each of those is a finding."""
    report.section = "configuration"
    environment = dict(invocation.environment)
    for name in OPTION_VARIABLES.values():
        try:
            merge_settings({}, {name: environment.get(name, "")})
        except EnvyError as error:
            report.failed(error)
            del environment[name]
    try:
        take_limits(environment)
    except EnvyError as error:
        report.failed(error)
    return merge_settings(invocation.given, environment)


def check_settings(report: Report, settings: Settings, given: Mapping[str, Any]) -> None:
    """Report the common options, the manifest and the limits, with where each comes from."""
    report.section = "configuration"
    _manifest(report, settings, given)
    report.add("jobs", settings.jobs or available_cores(), origin_of("jobs", given, settings))
    fetch_jobs = settings.fetch_jobs or DEFAULT_FETCH_JOBS
    report.add("fetch-jobs", fetch_jobs, origin_of("fetch_jobs", given, settings))
    names = (
        "fail_fast",
        "assume_yes",
        "offline",
        "locked",
        "depot_write",
        "depot_unsigned",
        "remote_read_only",
        "remote_unsigned",
        "verbose",
        "quiet",
        "progress",
    )
    for name in names:
        shown = {"assume_yes": "yes"}.get(name, name.replace("_", "-"))
        value = "yes" if getattr(settings, name) else "no"
        option = {"assume_yes": "--yes", "progress": "--no-progress"}.get(name, "")
        report.add(shown, value, origin_of(name, given, settings, option=option))
    for name in ("trace_file", "trace_timeline"):
        if getattr(settings, name):
            report.add(name.replace("_", "-"), getattr(settings, name), "--trace")
    for limit in LIMITS.values():
        if limit.value != limit.default:
            report.add(f"limit {limit.name}", limit.shown, "ENVY_LIMITS")


def origin_of(name: str, given: Mapping[str, Any], settings: Settings, *, option: str = "") -> str:
    """Return who gave the value of a setting: its option, its variable, or DEFAULT."""
    if name in given:
        return option or f"--{name.replace('_', '-')}"
    variable = OPTION_VARIABLES.get(name, "")
    return variable if settings.environment.get(variable) else DEFAULT


def _manifest(report: Report, settings: Settings, given: Mapping[str, Any]) -> None:
    try:
        here = current_directory()
    except EnvyError as error:
        report.failed(error)
        return
    if settings.manifest is None:
        # A folder without a project is no fault.
        found, _ = nearest_manifest(str(here))
        own = global_manifest(settings.environment)
        if not found and own and Path(own).is_file():
            report.add("manifest", own, _GLOBAL)
        else:
            report.add("manifest", found or f"none ({MANIFEST_NAME} is searched from {here} up)")
        if found or Path(own).is_file():
            _lock(report, Path(found or own))
        return
    report.add("manifest", settings.manifest, origin_of("manifest", given, settings))
    try:
        _lock(report, find_manifest(here, named=settings.manifest))
    except EnvyError as error:
        report.failed(error)


def _lock(report: Report, manifest: Path) -> None:
    """Report whether the project has a lock, and what is wrong with it."""
    try:
        lock = read_lock(lock_path(manifest))
    except EnvyError as error:
        report.add("lock", "cannot be used")
        report.failed(error)
        return
    if lock is None:
        report.add("lock", "none")
        return
    count = len({entry.package for entry in lock.entries if entry.kind == RECIPE})
    report.add("lock", f"{count} packages, {', '.join(lock.platforms)}")


def check_terminal(report: Report, environment: Mapping[str, str]) -> None:
    """Report what the standard streams are, and what envy draws on them."""
    report.section = "terminal"
    streams = {"stdin": sys.stdin, "stdout": sys.stdout, "stderr": sys.stderr}
    for name, stream in streams.items():
        encoding = getattr(stream, "encoding", None) or "unknown encoding"
        kind = f"terminal{_size(stream.fileno())}" if stream.isatty() else "not a terminal"
        report.add(name, f"{kind}, {encoding}")
    for name in ("TERM", "CI", "NO_COLOR", "FORCE_COLOR"):
        if environment.get(name):
            report.add(name, environment[name])
    report.add("live display", "yes" if can_draw(sys.stderr, environment) else "no")
    report.add("colours", "yes" if has_colours(sys.stderr, environment) else "no")


def _size(descriptor: int) -> str:
    try:
        size = os.get_terminal_size(descriptor)
    except OSError:
        return ""
    return f" of {size.columns} x {size.lines}"
