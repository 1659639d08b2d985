"""Converting the output of a Go test binary to events: like test2json, with bounded output.

With `-test.v=test2json` the testing package marks its own lines with ^V, so they cannot be confused
with the output of a test; errors are enclosed in ^O and ^N, and ^[ escapes any of these.

Guarantees
  Once the binary has written a mark, a line without it never starts or ends a test.
  At most HEAD + TAIL bytes of a test's output become events, however much it writes; a line in
  place of the rest gives its size.
"""

from __future__ import annotations

import re
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from envy.testing.drivers.go_dump import HeldDump, cut_dump
from envy.testing.drivers.go_progress import Progress
from envy.testing.events import StreamEvent

HEAD = 4 << 20
TAIL = 4 << 20
_LONG_LINE = 64 << 10  # longer lines are emitted in parts
_MUCH = 256 << 10  # beyond this, the output of a test is one event per chunk, not per line

_MARK = 0x16
_MARK_BYTE = b"\x16"
_UPDATE = re.compile(rb"=== (RUN|PAUSE|CONT|NAME|PASS|FAIL|SKIP|ATTR|ARTIFACTS) +(.*)")
_REPORT = re.compile(rb"((?:    )*)--- (PASS|FAIL|SKIP|BENCH): (.*?)(?: \(([0-9.]+)s\))?$")
_FRAMING = (b"=== ", b"--- ", b"PASS", b"FAIL")  # contained in framing without a mark
_MARKUP = re.compile(rb"\x1b(?s:.)|[\x0e\x0f]")
# A line ends with \n, or before a mark that is not escaped.
# All quantifiers are possessive: scanning an unfinished line must take linear time.
_LINE = re.compile(rb"\x16?(?:[^\n\x16]++|(?<=\x1b)\x16)*+\n?")


@dataclass(slots=True)
class _Volume:
    """The amount of output of one test, and the tail of the output beyond the head."""

    head: int = 0
    left_out: int = 0
    tail: deque[bytes] = field(default_factory=deque)
    tail_size: int = 0


class OutputConverter:
    """Converts the output of one process: `feed` all of it, then `finish`."""

    def __init__(
        self,
        package: str,
        emit: Callable[[StreamEvent], None],
        *,
        has_markup: bool,
        attempt: int = 0,
        carried_over: frozenset[str] = frozenset(),
    ) -> None:
        self.progress = Progress(last_change=time.monotonic())
        self.saw_output = False
        self._package = package
        self._emit_to = emit
        self._has_markup = has_markup
        self._attempt = attempt
        self._carried_over = set(carried_over)
        self._rest = b""
        self._inside_line = False
        self._marks = False
        self._test = ""
        self._reports: list[tuple[str, str, float | None]] = []
        self._is_error = False
        self._volumes: dict[str, _Volume] = {}
        self._dump = HeldDump()

    def feed(self, chunk: bytes) -> None:
        """Convert a chunk of output."""
        self.saw_output = True
        data = self._rest + chunk
        self._rest = b""
        if self._is_flood(data):
            cut = len(data) if self._marks else data.rfind(b"\n") + 1
            if len(data) - cut < _LONG_LINE:  # may be the start of an old Go's framing
                self._rest, data = data[cut:], data[:cut]
            if data:
                self._put_aside(data)
            return
        if self._is_much(data):
            cut = data.rfind(b"\n") + 1
            self._inside_line = False
            self._output(data[:cut])
            data = data[cut:]
        for match in _LINE.finditer(data):
            line = match.group()
            if not line:
                break
            if not line.endswith(b"\n") and match.end() == len(data):
                self._keep_rest(line)
                return
            self._line(line)

    def finish(self, *, cut: str = "", reason: str = "") -> None:
        """Convert the last, unfinished line, and emit all kept output.

        A dump is cut to code outside of the folder `cut`. `reason` is why the test ended in which
        the process did.
        """
        if self._rest:
            line, self._rest = self._rest, b""
            self._line(line)
        self._release_dump(cut)
        self._flush_reports(0, reason if self.progress.died_in else "")
        for test in list(self._volumes):
            self._end_volume(test)

    # -- lines ---------------------------------------------------------------------------------

    def _keep_rest(self, line: bytes) -> None:
        if len(line) < _LONG_LINE or line[0] == _MARK:
            self._rest = line
            return
        cut = _whole_characters(line)
        self._rest = line[cut:]
        self._output(line[:cut])
        self._inside_line = True

    def _line(self, line: bytes) -> None:
        if self._inside_line and line[0] != _MARK:
            self._inside_line = not line.endswith(b"\n")
            self._output(line)
            return
        self._inside_line = False
        if line[0] != _MARK:
            if self._marks:
                self._output(line)
            else:
                self._plain_line(line)
            return
        self._marks = True
        self._framing(line[1:])

    def _plain_line(self, line: bytes) -> None:
        """Convert a line before the first mark: output, or the framing of an old Go."""
        text = line.rstrip(b"\r\n")
        if _UPDATE.match(text) or _REPORT.match(text) or text in {b"PASS", b"FAIL"}:
            self._framing(line)
            return
        # After the report of a test that passed, a line without indentation is not the test's: it
        # is from a benchmark, or from a panic between two tests.
        if self._reports and self._reports[0][0] != "fail" and line[:1] not in {b" ", b"\t", b""}:
            self._flush_reports(0)
        self._output(line)

    def _framing(self, line: bytes) -> None:
        self._release_dump("")
        text = line.rstrip(b"\r\n")
        if text in {b"PASS", b"FAIL"}:
            self._flush_reports(0)
            self._test = ""
            self.progress.summary = text.decode()
            self.progress.died_in = ""
            self._end_benchmarks()
            self._change()
            self._output(line, kind="frame")
            return
        report = _REPORT.match(text)
        if report is not None:
            self._report(report, line)
            return
        update = _UPDATE.match(text if text != b"=== NAME" else b"=== NAME  ")
        if update is None:
            self._output(line)
            return
        self._update(update, line)

    def _report(self, match: re.Match[bytes], line: bytes) -> None:
        depth, name = len(match[1]) // 4, _text(match[3])
        # Of an old Go, what has no mark may be a test's own words about itself: the last report is
        # the one that counts.
        if depth > len(self._reports) or (self._marks and self.progress.is_over(name)):
            self._output(line)
            return
        self._flush_reports(depth)
        action = _text(match[2]).lower()
        self._test = name
        self._reports.append((action, name, float(match[4]) if match[4] else None))
        self._note_end(name, action)
        self._output(line, kind="frame")

    def _update(self, match: re.Match[bytes], line: bytes) -> None:
        self._flush_reports(0)
        action, rest = _text(match[1]).lower(), _text(match[2]).strip()
        name, _, more = rest.partition(" ") if action in {"attr", "artifacts"} else (rest, "", "")
        self._test = name
        if action == "name":
            return
        self._note_update(action, name)
        if action == "run" and name in self._carried_over:
            self._carried_over.discard(name)
            self._output(line, kind="frame")
            return
        if action == "pause":  # a paused test must not appear to write output
            self._output(line, kind="frame")
        key, _, value = more.partition(" ") if action == "attr" else ("", "", "")
        path = more if action == "artifacts" else ""
        self._event(action, test=name, key=key, value=value, path=path)
        if action != "pause":
            self._output(line, kind="frame")

    def _flush_reports(self, depth: int, reason: str = "") -> None:
        while len(self._reports) > depth:
            action, name, elapsed = self._reports.pop()
            self._end_volume(name)
            # Only a panic reports a subtest before the test that it belongs to.
            is_panic = not self._reports and "/" in name and name[:9] != "Benchmark"
            why = (reason or ("panic" if is_panic else "")) if action == "fail" else ""
            self._event(action, test=name, elapsed=elapsed, reason=why)
        self._test = ""

    # -- progress ------------------------------------------------------------------------------

    def _change(self) -> None:
        self.progress.last_change = time.monotonic()

    def _note_update(self, action: str, name: str) -> None:
        self._change()
        progress = self.progress
        progress.died_in = ""
        if action == "run":
            self._end_benchmarks()
        if action in {"run", "cont"}:
            progress.active[name] = progress.last_change
            progress.open[name] = None
        elif action == "pause":
            progress.active.pop(name, None)

    def _end_benchmarks(self) -> None:
        """End open benchmarks: a benchmark's end has no line; the next line implies it."""
        progress = self.progress
        for name in [name for name in progress.open if name.startswith("Benchmark")]:
            progress.active.pop(name, None)
            del progress.open[name]

    def _note_end(self, name: str, action: str) -> None:
        self._change()
        progress = self.progress
        progress.active.pop(name, None)
        progress.open.pop(name, None)
        progress.died_in = name.partition("/")[0] if action == "fail" else ""
        if action != "bench":
            earlier = progress.ended.get(name)
            progress.ended[name] = "fail" if earlier == "fail" else action
            progress.ends[name] = progress.ends.get(name, 0) + 1

    # -- output --------------------------------------------------------------------------------

    def _is_flood(self, data: bytes) -> bool:
        volume = self._volumes.get(self._test)
        return volume is not None and volume.head >= HEAD and not self._may_frame(data)

    def _may_frame(self, data: bytes) -> bool:
        """Return whether the data may contain a line of framing."""
        if self._reports or _MARK_BYTE in data:
            return True
        return not self._marks and any(word in data for word in _FRAMING)

    def _is_much(self, data: bytes) -> bool:
        volume = self._volumes.get(self._test)
        return (
            volume is not None
            and volume.head >= _MUCH
            and b"\n" in data
            and b"\ngoroutine " not in data
            and not self._may_frame(data)
        )

    def _put_aside(self, data: bytes) -> None:
        volume = self._volumes[self._test]
        volume.tail.append(data)
        volume.tail_size += len(data)
        while volume.tail_size - len(volume.tail[0]) > TAIL:
            dropped = volume.tail.popleft()
            volume.tail_size -= len(dropped)
            volume.left_out += len(dropped)
        self._inside_line = not data.endswith(b"\n")

    def _release_dump(self, cut: str) -> None:
        held = self._dump.release()
        self._dump.stop()
        for line in cut_dump(held, cut) if cut else held:
            self._output(line)
        self._dump = HeldDump()

    def _output(self, data: bytes, *, kind: str = "") -> None:
        if not kind and self._dump.takes(data):
            if self._dump.is_full:
                self._release_dump("")
            return
        volume = self._volumes.get(self._test)
        if volume is None:
            volume = self._volumes[self._test] = _Volume()
        if volume.head >= HEAD and kind != "frame":
            inside = self._inside_line
            self._put_aside(data)
            self._inside_line = inside
            return
        if kind != "frame":
            volume.head += len(data)
        self._write(data, kind)

    def _write(self, data: bytes, kind: str) -> None:
        if not self._has_markup or kind == "frame":
            self._text_event(data, kind)
            return
        position, plain = 0, bytearray()
        for match in _MARKUP.finditer(data):
            plain += data[position : match.start()]
            position = match.end()
            mark = match.group()
            if mark[0] == 0x1B:
                plain += mark[1:]
                continue
            if mark == b"\x0e" and data[position : position + 1] == b"\n":
                plain += b"\n"
                position += 1
            self._text_event(bytes(plain), "error" if self._is_error else "")
            plain.clear()
            self._is_error = mark == b"\x0f"
        plain += data[position:]
        self._text_event(bytes(plain), "error" if self._is_error else "")

    def _text_event(self, data: bytes, kind: str) -> None:
        if data:
            self._event("output", test=self._test, output=_text(data), output_type=kind)

    def _end_volume(self, test: str) -> None:
        volume = self._volumes.pop(test, None)
        if volume is None or not volume.tail:
            return
        tail = b"".join(volume.tail)
        surplus = max(0, len(tail) - TAIL)
        left_out = volume.left_out + surplus
        if left_out:
            note = f"\n... envy left out {left_out} bytes of output ...\n"
            self._event("output", test=test, output=note)
        position = surplus
        while position < len(tail):
            end = tail.rfind(b"\n", position, position + _LONG_LINE) + 1
            end = end or position + _LONG_LINE
            self._event("output", test=test, output=_text(tail[position:end]))
            position = end

    def _event(
        self,
        action: str,
        *,
        test: str,
        elapsed: float | None = None,
        output: str | None = None,
        output_type: str = "",
        key: str = "",
        value: str = "",
        path: str = "",
        reason: str = "",
    ) -> None:
        self._emit_to(
            StreamEvent(
                action=action,
                time=time.time(),
                package=self._package,
                test=test,
                elapsed=elapsed,
                output=output,
                output_type=output_type,
                key=key,
                value=value,
                path=path,
                attempt=self._attempt,
                reason=reason,
            )
        )


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def _whole_characters(data: bytes) -> int:
    """Return the length of the data without an incomplete UTF-8 character at its end."""
    for back in range(1, min(4, len(data)) + 1):
        byte = data[-back]
        if byte < 0x80:
            return len(data)
        if byte >= 0xC0:
            width = 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            return len(data) - back if back < width else len(data)
    return len(data)
