"""`envy test` whose run is remembered: answered before the command line and a toolchain are loaded.

Everything that is not plain is left to the full command, which reads the same record: a terminal
view, another form of output, a failed test that has to be forgotten, and every problem. Warm
commands load this module, so it imports little.
"""

from __future__ import annotations

import os
import sys
import time

from envy.cache.names import TESTS_FOLDER
from envy.console.colours import has_colours

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# Options that put the cache or the manifest elsewhere, or that read no results.
_NOT_PLAIN = (
    *("--cache-root", "--clean-cache", "--count", "--explain", "--load", "--locked", "--manifest"),
    *("--no-cache", "--rerun", "--trace", "--tui", "--watch", "-count", "-test.count"),
)


def answer_test(
    words: Sequence[str], root: str, environment: Mapping[str, str], started: float
) -> int | None:
    """Print what the same command printed, if it passed and nothing has changed; else return None.

    `root` is the cache, `words` follow the name of the command.
    """
    if "count" in environment.get("GOFLAGS", ""):
        return None  # `-count` asks for a run
    if environment.get("ENVY_LOCKED") or any(word.startswith(_NOT_PLAIN) for word in words):
        return None
    if sys.stdin.isatty() and sys.stdout.isatty() and _has_view():
        return None
    texts = _remembered_texts(words, f"{root}/{TESTS_FOLDER}", environment)
    if texts is None:
        return None
    lines, text = texts
    try:
        if not lines:
            text = f"{text}{time.monotonic() - started:.1f}s\n"
            text = painted_answer(text) if has_colours(sys.stdout, environment) else text
        sys.stdout.write(lines or text)
        sys.stdout.flush()
    except OSError as error:
        from envy.cli.main import report_output

        return report_output(error)
    return 0


def painted_answer(text: str) -> str:
    """Return the lines of a run that passed in the colours of the plain view."""
    *lines, last = text.removesuffix("\n").split("\n")
    words = {"ok    ": "32", "?     ": "2", "SLOW  ": "33"}
    for at, line in enumerate(lines):
        code = words.get(line[:6])
        if code:
            word, blank, rest = line.partition(" ")
            lines[at] = f"\x1b[{code}m{word}\x1b[0m{blank}{rest}"
    return "\n".join([*lines, f"\x1b[32m{last}\x1b[0m\n"])


def _remembered_texts(
    words: Sequence[str], tests: str, environment: Mapping[str, str]
) -> tuple[str, str] | None:
    """Return the events as lines of JSON, if they are asked for, and the text apart from its time.

    None: something that the run rests on has changed, or the full command has to show it.
    """
    from envy.testing.records import Damaged, mark_used, nothing_failed, run_path, settle_time
    from envy.testing.run_record import (
        LINES,
        PLAIN,
        lines_of,
        read_run,
        results_of,
        run_key,
        why_not,
    )

    now = time.time_ns()
    try:
        key = run_key(words, os.getcwd(), environment.get("PWD", ""))
        record = read_run(tests, key)
        forms = {PLAIN} if sys.stderr.isatty() else {LINES, PLAIN}  # that shows a summary, too
        if record is None or record.form not in forms or not nothing_failed(record.last):
            return None
        # What is not plain text is shown by the full command, which knows the terminal.
        if not (record.text.isascii() and record.text.replace("\n", "").isprintable()):
            return None
        settled = now - settle_time(environment)
        if why_not(tests, key, record, environment, settled=settled):
            return None
        lines = lines_of(tests, record, _moment(now)) if record.form == LINES else ""
        if lines is None or not _is_writable(lines):
            return None
    except (Damaged, OSError, ValueError):
        return None  # the full command reports it
    mark_used(run_path(tests, key), now / 1e9, *results_of(tests, record))
    return lines, record.text


def _is_writable(lines: str) -> bool:
    """Return whether lines of JSON can be written as they are."""
    is_encodable = lines.isascii() or sys.stdout.encoding == "utf-8"
    return is_encodable and lines.replace("\n", "").isprintable()


def _moment(now: int) -> str:
    """Return a time in nanoseconds as events have it."""
    seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now // 1_000_000_000))
    return f"{seconds}.{now // 1000 % 1_000_000:06d}Z"


def _has_view() -> bool:
    """Return whether the terminal view is installed, which is then used on a terminal."""
    return any(os.path.isdir(f"{folder}/textual") for folder in sys.path)
