"""Reading events in Go's test2json form, which other runners write, too."""

from __future__ import annotations

from envy.content.json_text import parse_json
from envy.testing.drivers.projects.names import test_path
from envy.testing.drivers.projects.report import ENDS, SuiteReport
from envy.testing.events import DamagedRun, StreamEvent, event_of

_LONGEST = 16 << 20


class GoStreamReader:
    """Takes events, and tells their tests. Lines that are no events are output."""

    def __init__(self, report: SuiteReport) -> None:
        self._report = report
        self._rest = b""
        self._begun: dict[str, None] = {}
        self.first_line = ""
        self.is_known = False
        self._failed: dict[str, None] = {}  # packages that failed

    def feed(self, chunk: bytes) -> None:
        """Take a chunk of output."""
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        for line in lines:
            self._line(line)
        if len(self._rest) > _LONGEST:
            self._line(self._rest)
            self._rest = b""

    def finish(self) -> str:
        """Take the end; return why the package failed, "" if only its tests decide."""
        if self._rest:
            self._line(self._rest)
            self._rest = b""
        left = [name for name in self._begun if name not in self._report.ended]
        for name in reversed(left):
            self._report.end(name, "fail", reason="did not end")
        if self._failed and not self._report.failed:
            return f"{next(iter(self._failed))} failed, although none of its tests did"
        return ""

    def _line(self, line: bytes) -> None:
        text = line.decode("utf-8", "replace").rstrip("\r")
        self.first_line = self.first_line or text.strip()
        try:
            event = event_of(parse_json(text), where="the output")
        except (ValueError, DamagedRun):
            if text.strip():
                self._report.output("", f"{text}\n")
            return
        self.is_known = True
        self._take(event)

    def _take(self, event: StreamEvent) -> None:
        name = _name_of(event)
        if event.action in {"output", "build-output"}:
            self._report.output(name, event.output or "")
        elif not event.test:
            if event.action == "fail":
                self._failed[event.package or "the run"] = None
        elif event.action == "run":
            self._begun[name] = None
            self._report.begin(name)
        elif event.action in ENDS:
            self._begun[name] = None
            self._report.end(name, event.action, seconds=event.elapsed, reason=event.reason)


def _name_of(event: StreamEvent) -> str:
    """Return the name of an event's test, with the package that it is of."""
    if not event.test:
        return ""
    first, *others = event.test.split("/")
    return test_path(f"{event.package}::{first}" if event.package else first, *others)
