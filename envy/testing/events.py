"""The events of a test run in the format of Go's test2json: plain data, one JSON object per event.

Drivers emit them; views, the recorder and saved runs know nothing else. envy's own fields are added
to Go's, so that Go's tools can read a saved run.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from envy.content.json_text import parse_json
from envy.errors import EnvyError

# Actions that end a test or a package.
ENDINGS = frozenset({"pass", "fail", "skip"})
# Begins the reason for which a package was skipped by `--changed`; what follows is the revision.
NOT_AFFECTED = "not affected by changes since"


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamEvent:
    """One event. `package` is empty only in build events, which have `import_path`."""

    action: str
    time: float = 0.0
    package: str = ""
    test: str = ""
    elapsed: float | None = None
    output: str | None = None
    output_type: str = ""
    import_path: str = ""
    failed_build: str = ""
    key: str = ""
    value: str = ""
    path: str = ""
    driver: str = ""
    cached: bool = False
    remote: bool = False  # the cached result is that of another machine
    attempt: int = 0  # 2 and more: a retry
    reason: str = ""  # why a test or a package failed, when the driver knows more than its output
    signal: str = ""

    @property
    def is_left_out(self) -> bool:
        """Whether it tells of a package that `--changed` does not run."""
        return self.action == "skip" and not self.test and self.reason.startswith(NOT_AFFECTED)

    @property
    def top_level(self) -> str:
        """The top-level test that a test or subtest belongs to; "" for an event of the package."""
        return self.test.partition("/")[0]


_NAMES = {
    "action": "Action",
    "package": "Package",
    "test": "Test",
    "elapsed": "Elapsed",
    "output": "Output",
    "output_type": "OutputType",
    "import_path": "ImportPath",
    "failed_build": "FailedBuild",
    "key": "Key",
    "value": "Value",
    "path": "Path",
    "driver": "Driver",
    "cached": "Cached",
    "remote": "Remote",
    "attempt": "Attempt",
    "reason": "Reason",
    "signal": "Signal",
}
_TEXTS = frozenset(_NAMES) - {"elapsed", "cached", "remote", "attempt"}


def as_json(event: StreamEvent) -> str:
    """Return the event as one line of JSON, without a newline."""
    row: dict[str, Any] = {}
    if event.time:
        moment = datetime.fromtimestamp(event.time, tz=UTC)
        row["Time"] = moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    for field, name in _NAMES.items():
        value = getattr(event, field)
        if value or (field == "elapsed" and value is not None):
            row[name] = value
    return json.dumps(row, ensure_ascii=False, separators=(",", ":"))


class DamagedRun(EnvyError):
    """A saved run that cannot be read."""

    exit_code = 2


def parse_event(line: str, *, where: str) -> StreamEvent:
    """Parse one line of a saved run, or of `go test -json`.

    Raises:
        DamagedRun: The line is not a valid event.
    """
    try:
        row = parse_json(line)
    except ValueError as error:
        raise DamagedRun(
            f"{where}: not a line of JSON: {line[:80]!r}",
            hint="a saved run is a file written by `envy test --json=FILE` or `go test -json`",
        ) from error
    return event_of(row, where=where)


def event_of(row: Any, *, where: str) -> StreamEvent:
    """Return the event in a decoded object.

    Raises:
        DamagedRun: It is not a valid event.
    """
    if not isinstance(row, dict) or not isinstance(row.get("Action"), str):
        raise DamagedRun(f"{where}: an event without an Action: {str(row)[:80]!r}")
    fields: dict[str, Any] = {}
    for field, name in _NAMES.items():
        value = row.get(name)
        if value is None:
            continue
        if not _fits(field, value):
            raise DamagedRun(f"{where}: {name} cannot be {value!r}")
        fields[field] = value
    if "Time" in row:
        fields["time"] = _moment(row["Time"], where=where)
    return StreamEvent(**fields)


def _fits(field: str, value: Any) -> bool:
    if field in _TEXTS:
        return isinstance(value, str)
    if field in {"cached", "remote"}:
        return isinstance(value, bool)
    if isinstance(value, bool):
        return False
    return isinstance(value, int if field == "attempt" else (int, float))


def _moment(text: Any, *, where: str) -> float:
    try:
        # Go writes nanoseconds, and a time zone unless it is UTC.
        return datetime.fromisoformat(text).timestamp()
    except (TypeError, ValueError) as error:
        raise DamagedRun(f"{where}: Time cannot be {text!r}") from error
