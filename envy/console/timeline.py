"""A run as a timeline, in the trace event format that Perfetto and Chrome (about:tracing) read.

Owns the file from its opening to the end of the process. Each span is written when it ends,
together with the closing brackets: the file is valid JSON at any moment, however the process ends.

Rows ("threads" of the format) are arranged in groups ("processes"): slots, recipes, downloads,
tests. The spans of a row are nested or follow one another.
"""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

from envy.console.spans import (
    DOWNLOAD,
    GATE,
    QUEUE,
    SLOT,
    TEST_BUILD,
    TEST_PHASE,
    Span,
    SpanBuilder,
)
from envy.console.text import safe_line, say
from envy.console.trace import open_trace
from envy.events import Stamped

_HEAD = '{"displayTimeUnit":"ms","traceEvents":[\n'
_TAIL = "\n]}\n"

_SLOTS, _RECIPES, _DOWNLOADS, _TESTS = 1, 2, 3, 4
_GROUPS = {_SLOTS: "slots", _RECIPES: "recipes", _DOWNLOADS: "downloads", _TESTS: "tests"}
_GROUP_OF = {
    SLOT: _SLOTS,
    DOWNLOAD: _DOWNLOADS,
    TEST_PHASE: _TESTS,
    TEST_BUILD: _TESTS,
}


class Timeline:
    """The listener behind `--trace=timeline:PATH`."""

    explaining = False

    def __init__(
        self, path: Path, *, errors: TextIO, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Begin an empty timeline.

        Raises:
            UsageError: the file cannot be written.
        """
        self._path = path
        self._errors = errors
        self._clock = clock
        self._began = clock()
        self._spans = SpanBuilder()
        self._rows: dict[tuple[int, str], int] = {}
        self._file = open_trace(path, "--trace=timeline:PATH")
        self._end = 0
        self._empty = True
        self._append(_HEAD, [])

    def on_event(self, stamped: Stamped) -> None:
        """Write the spans that have ended with this event."""
        if self._file is not None:
            self._write(self._spans.on_event(stamped.event, self._clock()))

    def close(self) -> None:
        """Write the spans that are still open, and close the file."""
        if self._file is not None:
            self._write(self._spans.close(self._clock()))
        if self._file is not None:
            self._file.close()
            self._file = None

    def _write(self, spans: list[Span]) -> None:
        rows = [row for span in spans for row in self._rows_of(span)]
        if rows:
            self._append("", rows)

    def _append(self, text: str, rows: list[dict[str, Any]]) -> None:
        """Append rows, overwriting the closing brackets and writing them again."""
        assert self._file is not None
        if rows:
            text += "" if self._empty else ",\n"
            text += ",\n".join(json.dumps(row, separators=(",", ":")) for row in rows)
            self._empty = False
        data = memoryview((text + _TAIL).encode("ascii"))
        try:
            self._file.seek(self._end)
            self._end += len(text)
            while data:
                data = data[self._file.write(data) :]
        except OSError as error:
            self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        # A full disk ends the timeline, not the run that it watches.
        if self._file is not None:
            self._file.close()
            self._file = None
        text = f"warning: the timeline {self._path} ends here: {error.strerror}"
        say(self._errors, safe_line(text))

    # -- the format --------------------------------------------------------------------------------

    def _rows_of(self, span: Span) -> list[dict[str, Any]]:
        group = _GROUP_OF.get(span.kind, _RECIPES)
        row, described = self._row(group, _row_name(span))
        start, end = self._microseconds(span.start), self._microseconds(span.end)
        event: dict[str, Any] = {
            "name": _name(span),
            "cat": span.kind,
            "ph": "X",
            "ts": start,
            "dur": end - start,
            "pid": group,
            "tid": row,
        }
        arguments = {"key": span.key, **span.details}
        if span.ended:
            arguments["ended"] = span.ended
            event["cname"] = "terrible"
        return [*described, {**event, "args": arguments}]

    def _row(self, group: int, name: str) -> tuple[int, list[dict[str, Any]]]:
        """Return the number of a row, and the records that describe it and its group if new."""
        known = self._rows.get((group, name))
        if known is not None:
            return known, []
        described = []
        if not any(one == group for one, _ in self._rows):
            described += [
                _metadata("process_name", group, 0, name=_GROUPS[group]),
                _metadata("process_sort_index", group, 0, sort_index=group),
            ]
        # Unique over all groups, because some readers identify a row by its number alone.
        row = len(self._rows) + 1
        self._rows[group, name] = row
        described.append(_metadata("thread_name", group, row, name=name))
        # By name, not by arrival, so that the slots of a pool stay together.
        order = _order_of(name) if group in {_SLOTS, _DOWNLOADS} else row
        described.append(_metadata("thread_sort_index", group, row, sort_index=order))
        return row, described

    def _microseconds(self, moment: float) -> int:
        return max(0, round((moment - self._began) * 1_000_000))


def _row_name(span: Span) -> str:
    if span.kind == SLOT:
        return f"{span.name} {span.lane + 1}"
    if span.kind == DOWNLOAD:
        return f"download {span.lane + 1}"
    if span.kind == TEST_BUILD:
        return f"build {span.lane + 1}"
    return safe_line(span.key)


def _order_of(name: str) -> int:
    kind, _, number = name.rpartition(" ")
    return int(number) + (0 if kind == "work" else 10_000)


def _name(span: Span) -> str:
    """Return the label of a span."""
    if span.kind in {SLOT, TEST_BUILD}:
        return safe_line(span.key)
    if span.kind == QUEUE:
        return f"waits for a {span.name} slot"
    if span.kind == GATE:
        return f"waits before {span.name}"
    return safe_line(span.name)


def _metadata(what: str, group: int, row: int, **arguments: Any) -> dict[str, Any]:
    return {"name": what, "ph": "M", "ts": 0, "pid": group, "tid": row, "args": arguments}
