"""Plain `go test -json`: Go interleaves building and running, and its events go to envy's views."""

from __future__ import annotations

import time
from collections.abc import Sequence

from envy.errors import Cancelled
from envy.host.process import ProcessSpec, run
from envy.testing.drivers.go_toolchain import GoToolchain
from envy.testing.events import StreamEvent, parse_event
from envy.testing.replay import runs_of
from envy.testing.results import Recorder
from envy.testing.session_result import SessionResult, View


def run_go_test(
    toolchain: GoToolchain, words: Sequence[str], views: Sequence[View]
) -> SessionResult:
    """Run `go test -json WORDS` and show its events."""
    recorder = Recorder()
    lines = _Lines(recorder, views)
    started = time.monotonic()
    result = SessionResult(recorder=recorder)
    try:
        completed = run(
            ProcessSpec(
                argv=[str(toolchain.program), "test", "-json", *words],
                command="go test -json",
                cwd=toolchain.directory,
                environment=toolchain.environment,
                children=toolchain.children,
                label="go test",
                on_output=lines.feed,
            )
        )
    except Cancelled:
        result.cancelled = True
    else:
        if completed.exit_code and not any(
            tally.outcome == "fail" for tally in recorder.packages.values()
        ):
            result.stopped = f"go test exited with code {completed.exit_code}"
    lines.close()
    result.runs = runs_of(recorder)
    result.seconds = time.monotonic() - started
    for view in views:
        view.on_end(result)
    return result


class _Lines:
    """Splits both streams into lines: events from stdout, Go's own messages from stderr."""

    def __init__(self, recorder: Recorder, views: Sequence[View]) -> None:
        self._recorder = recorder
        self._views = views
        self._rest = {"stdout": b"", "stderr": b""}

    def feed(self, stream: str, chunk: bytes) -> None:
        *lines, rest = (self._rest[stream] + chunk).split(b"\n")
        self._rest[stream] = rest
        for line in lines:
            self._on_line(line.decode("utf-8", "replace"))

    def close(self) -> None:
        for rest in self._rest.values():
            if rest:
                self._on_line(rest.decode("utf-8", "replace"))

    def _on_line(self, line: str) -> None:
        if line.startswith("{"):
            event = parse_event(line, where="go test -json")
        else:
            event = StreamEvent(action="build-output", time=time.time(), output=f"{line}\n")
        self._recorder.on_event(event)
        for view in self._views:
            view.on_event(event)
