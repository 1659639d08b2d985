"""What a GoogleTest binary tells: its list of tests, the stream of results, and its output.

The stream (`--gtest_stream_result_to`) has a line for the start and for the end of each test. The
end is sent before it is printed, so a result that was printed has been sent.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import unquote_to_bytes

from envy.testing.drivers.projects.serial import Ended

_SUITE = re.compile(r"([^\s#][^#]*\.)(?:\s+#.*)?")
_TEST = re.compile(r"  (\S.*?)(?:  # .*)?")
_RESULT = rb"\[(       OK|  FAILED |  SKIPPED) \] "
_SUMMARY = re.compile(
    rb"(?:^\n*\[-{10}\] (?:\d+ tests? from |Global test environment).*\n?|^Note: Google Test filter"
    rb".*\n|^\[={10}\] .*\n|^\[  PASSED  \] .*\n|^\[(?:  FAILED  |  SKIPPED ) ?\] (?:\d+ tests?, "
    rb"listed below:|\S.*)\n|^\n? *\d+ (?:FAILED|DISABLED) TESTS?\n|^  YOU HAVE .*\n"
    rb"|^\[ DISABLED \] .*\n|^Running main\(\) from .*\n|^\n)",
    re.MULTILINE,
)
_DISABLED = "DISABLED_"
_SPECIAL = re.compile(r"[*:\-]")


def parse_tests(text: str) -> list[str]:
    """Return the names in the output of `--gtest_list_tests`, in the order in which they run."""
    names: dict[str, None] = {}
    suite = ""
    for line in text.splitlines():
        found = _TEST.fullmatch(line)
        if found and suite:
            names[suite + found[1]] = None
            continue
        found = _SUITE.fullmatch(line)
        suite = found[1] if found else ""
    return list(names)


def is_disabled(name: str) -> bool:
    """Return whether GoogleTest leaves a test out because of its name."""
    suite, _, test = name.partition(".")
    return any(part.startswith(_DISABLED) for part in (*suite.split("/"), *test.split("/")))


def filter_of(names: Sequence[str]) -> str:
    """Return the argument that selects these tests; `?` stands for letters that have a meaning."""
    return "--gtest_filter=" + ":".join(_SPECIAL.sub("?", name) for name in names)


class ResultStream:
    """Reads the stream of a process that runs these tests one after another."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names
        self._at = 0
        self._suite = ""
        self._running = ""
        self._rest = b""

    @property
    def _expected(self) -> str | None:
        return self._names[self._at] if self._at < len(self._names) else None

    def feed(self, data: bytes) -> list[Ended]:
        """Take a chunk of the stream; return the results that it completes."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        found = []
        for line in lines:
            ended = self._take(_fields(line))
            if ended is not None:
                found.append(ended)
        return found

    def _take(self, fields: dict[str, str]) -> Ended | None:
        event = fields.get("event")
        if event == "TestCaseStart":
            self._suite = fields.get("name", "")
        elif event == "TestStart":
            self._running = f"{self._suite}.{fields.get('name', '')}"
        elif event == "TestEnd" and self._running == self._expected:
            self._at += 1
            return Ended("pass" if fields.get("passed") == "1" else "fail")
        return None


def _fields(line: bytes) -> dict[str, str]:
    pairs = (pair.partition(b"=") for pair in line.split(b"&"))
    return {
        name.decode("ascii", "replace"): unquote_to_bytes(value).decode("utf-8", "replace")
        for name, _, value in pairs
    }


class GTestFraming:
    """What GoogleTest prints around a test: `[ RUN      ] NAME` and a line with its result."""

    def start_of(self, name: str, data: bytes, *, final: bool) -> tuple[int, int] | None:
        """Return where the line that starts a test begins and ends."""
        del final
        found = re.search(_start(name), data)
        return found.span() if found else None

    def end_of(self, name: str, after: str, data: bytes, *, final: bool) -> tuple[int, int] | None:
        """Return where the line with the result of a test begins and ends."""
        result = _RESULT + re.escape(name.encode()) + rb"(?:, where [^\n]*)? \(\d+ ms\)\n"
        follows = rb"(?=\[ RUN      \] |\[-{10}\] |\[ DISABLED \] )"
        found = re.search(result + follows, data)
        if found is None and after:
            found = re.search(rb"(?=" + _start(after) + rb")", data)
        if found is None and final:
            found = re.search(result, data)
            return found.span() if found else (len(data), len(data))
        return found.span() if found else None

    def refined(self, ended: Ended, mark: bytes) -> Ended:
        """Return the result with what only the output tells: the stream has no skipped tests.

        If a test that failed printed that it was skipped, the exit code of the process tells.
        """
        if ended.action == "fail" and mark.startswith(b"[  SKIPPED ]"):
            return Ended("skip")
        return ended

    def outside(self, data: bytes, *, first: bool) -> bytes:
        """Return output between tests without the frames of suites and the summary."""
        del first
        return _SUMMARY.sub(b"", data)


def _start(name: str) -> bytes:
    return rb"\[ RUN      \] " + re.escape(name.encode()) + rb"\n"
