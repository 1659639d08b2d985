"""`envy hash`: print the digests of files and trees, or compare them with a list."""

from __future__ import annotations

import contextlib
import json
import os
import stat
import sys
import threading
import time
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import BinaryIO

import click

from envy.cli.options import envy_command
from envy.cli.output import print_data, print_lines
from envy.cli.progress_line import ProgressLine, progress_line
from envy.cli.settings import Settings
from envy.console.text import safe_line, say
from envy.content.checksum_lines import (
    ALGORITHMS,
    ListedChecksum,
    checksum_line,
    escaped_name,
    listed_checksum,
)
from envy.content.hashing import FileHash, FileToHash, file_hashes, files_at
from envy.errors import EnvyError, UsageError
from envy.host.platform import available_cores
from envy.masking import masked_data

_LONGEST_LINE = 1 << 16
_BATCH = 0.1  # seconds between two writes
_MOST_LINES = 10  # numbers of malformed lines that are shown
_STDIN = "-"


@envy_command(
    short_help="Print or check the digests of files.",
    examples=[
        ("envy hash tool.tar.gz", "for the field sha256 of a source"),
        ("envy hash --algorithm blake3 src", "every file of a tree"),
        ("envy hash --check SHA256SUMS", "compare files with a list"),
        ("envy hash - <tool.tar.gz", "standard input"),
    ],
)
@click.argument("paths", nargs=-1, metavar="[PATH]...")
@click.option(
    "--algorithm",
    type=click.Choice(list(ALGORITHMS)),
    help="The algorithm; sha256 by default.",
)
@click.option("--check", metavar="FILE", help="Compare the files that FILE lists.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    settings: Settings,
    paths: tuple[str, ...],
    *,
    algorithm: str | None,
    check: str | None,
    as_json: bool,
) -> int:
    """Print a line for each PATH: digest, two spaces and name, as sha256sum and b3sum do.

    Of a folder, every file in it is printed, sorted; symbolic links, pipes and devices in it are
    left out. - is standard input. Several files are read at once. A name with a backslash or a line
    end is escaped, and its line begins with a backslash.

    With --check, the files that FILE lists are compared: FILE may be what this command prints, a
    list in BSD's format, or - for standard input. Without --algorithm, the number of digits
    decides; 64 are sha256.

    The exit code is 1 if a file could not be read, differs, or if FILE lists none.
    """
    if bool(paths) == bool(check):
        raise UsageError(
            "--check takes its files from the list" if check else "envy hash: no file is given",
            hint="envy hash PATH..., or envy hash --check FILE",
        )
    workers = settings.jobs or available_cores()
    with progress_line("hashing", settings) as progress:
        if check:
            return _check(check, algorithm or "", progress, workers=workers, as_json=as_json)
        return _print(paths, algorithm or "sha256", progress, workers=workers, as_json=as_json)


def _print(
    paths: Sequence[str],
    algorithm: str,
    progress: ProgressLine,
    *,
    workers: int,
    as_json: bool,
) -> int:
    files = (file for path in paths for file in _files(path, algorithm))
    rows: list[dict[str, object]] = []
    output, code = _Lines(progress), 0
    with contextlib.closing(_hashes(files, progress, workers)) as hashes:
        for found in hashes:
            if found.left_out:
                output.note(f"note: {found.path} is left out: it is not a plain file")
            elif found.error:
                code = 1
                output.note(f"error: {found.path}: {found.error}")
            elif as_json:
                rows.append({"path": found.path, "digest": found.digest, "size": found.size})
            else:
                output.add(checksum_line(found.path, found.digest))
    output.flush()
    if as_json:
        document = {"algorithm": algorithm, "files": rows}
        print_data(json.dumps(masked_data(document), indent=2))
    return code


def _files(path: str, algorithm: str) -> Iterator[FileToHash]:
    if path == _STDIN:
        return iter((FileToHash(path, algorithm, stream=0),))
    return files_at(path, algorithm)


def _hashes(
    files: Iterable[FileToHash], progress: ProgressLine, workers: int
) -> Generator[FileHash]:
    """Return the digests of files, whose progress is shown meanwhile."""
    total = 0
    if progress.draws:  # a person looks: the sizes are worth their time
        files = list(files)
        total = sum(map(_size, files))
    return file_hashes(files, workers=workers, report=_Meter(progress, total).more)


def _size(file: FileToHash) -> int:
    if file.problem or file.left_out or file.stream is not None:
        return 0
    try:
        return os.stat(file.path).st_size  # noqa: PTH116  of perhaps a hundred thousand
    except (OSError, ValueError):
        return 0


class _Meter:
    """Counts the bytes of all threads."""

    def __init__(self, progress: ProgressLine, total: int) -> None:
        self._progress = progress
        self._total = total
        self._done = 0
        self._lock = threading.Lock()

    def more(self, count: int) -> None:
        """Count further bytes."""
        if not self._progress.draws:
            return
        with self._lock:
            self._done += count
        self._progress.at("", self._done, self._total)


class _Lines:
    """Lines for standard output, written now and then; and notes, after the lines before them."""

    def __init__(self, progress: ProgressLine) -> None:
        self._progress = progress
        self._waiting: list[bytes] = []
        self._written = time.monotonic()

    def add(self, line: bytes) -> None:
        """Write a line, soon."""
        self._waiting.append(line)
        if time.monotonic() - self._written > _BATCH:
            self.flush()

    def note(self, text: str) -> None:
        """Write a note to standard error."""
        self.flush()
        self._progress.clear()
        say(sys.stderr, safe_line(text))

    def flush(self) -> None:
        """Write what waits."""
        if self._waiting:
            self._progress.clear()
            print_lines(self._waiting)
            self._waiting.clear()
        self._written = time.monotonic()


# -- comparing -----------------------------------------------------------------------------------


@dataclass(slots=True)
class _Checked:
    """What came of the files of a list."""

    rows: list[dict[str, object]] = field(default_factory=list)
    malformed: list[int] = field(default_factory=list)  # line numbers
    listed: int = 0
    unreadable: int = 0
    different: int = 0


def _check(
    name: str, algorithm: str, progress: ProgressLine, *, workers: int, as_json: bool
) -> int:
    checked, output = _Checked(), _Lines(progress)
    with _opened(name) as file:
        expected: deque[ListedChecksum] = deque()
        files = _listed_files(file, algorithm, expected, checked)
        with contextlib.closing(_hashes(files, progress, workers)) as hashes:
            for found in hashes:
                state = _state(found, expected.popleft(), checked)
                if not as_json:
                    output.add(_verdict(found, state))
        output.flush()
    if not checked.listed:
        raise EnvyError(
            f"{name} has no line of a checksum file",
            hint="a line is a digest, two spaces and a file name; envy hash prints such lines",
        )
    if as_json:
        document = {"files": checked.rows, "malformed_lines": checked.malformed}
        print_data(json.dumps(masked_data(document), indent=2))
    for text in _warnings(checked, name):
        output.note(f"warning: {text}")
    return 1 if checked.unreadable or checked.different else 0


@contextlib.contextmanager
def _opened(name: str) -> Iterator[BinaryIO]:
    """Open a list; - is standard input.

    Raises:
        EnvyError: it cannot be read.
    """
    if name == _STDIN:
        yield sys.stdin.buffer
        return
    try:
        with open(name, "rb") as file:  # noqa: PTH123  the name as it was given
            if stat.S_ISCHR(os.fstat(file.fileno()).st_mode):
                raise EnvyError(f"{name} is a device, and not a checksum file")
            yield file
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise EnvyError(f"{name} cannot be read: {reason}") from error


def _listed_files(
    file: BinaryIO, algorithm: str, expected: deque[ListedChecksum], checked: _Checked
) -> Iterator[FileToHash]:
    """Yield the files that a list names; what is expected of each is appended to `expected`."""
    number = 0
    while line := file.readline(_LONGEST_LINE):
        number += 1
        listed = listed_checksum(line, algorithm)
        if listed is None:
            if line.strip() and not line.startswith(b"#"):
                checked.malformed.append(number)
            continue
        checked.listed += 1
        expected.append(listed)
        yield _file_of(listed)


def _file_of(listed: ListedChecksum) -> FileToHash:
    [*files] = files_at(listed.path, listed.algorithm) if not _is_folder(listed.path) else []
    if files:
        return files[0]
    return FileToHash(listed.path, listed.algorithm, problem="Is a directory")


def _is_folder(path: str) -> bool:
    return os.path.isdir(path)  # noqa: PTH112  of perhaps a hundred thousand


def _state(found: FileHash, expected: ListedChecksum, checked: _Checked) -> str:
    """Count a file; return whether it is "ok", "failed" or "unreadable"."""
    state = "ok" if found.digest == expected.digest else "failed"
    if found.error:
        state = "unreadable"
        checked.unreadable += 1
    elif state == "failed":
        checked.different += 1
    checked.rows.append(
        {
            "path": found.path,
            "algorithm": expected.algorithm,
            "state": state,
            "expected": expected.digest,
            "actual": found.digest,
        }
    )
    return state


def _verdict(found: FileHash, state: str) -> bytes:
    words = {"ok": "OK", "failed": "FAILED", "unreadable": f"FAILED to read ({found.error})"}
    name = escaped_name(found.path)
    return os.fsencode(f"{name}: {words[state]}")


def _warnings(checked: _Checked, name: str) -> Iterator[str]:
    """Yield what did not go well, in the words of coreutils."""
    malformed = len(checked.malformed)
    if malformed:
        lines = ", ".join(map(str, checked.malformed[:_MOST_LINES]))
        more = ", …" if malformed > _MOST_LINES else ""
        yield f"{name}: {_counted(malformed, 'line')} improperly formatted: {lines}{more}"
    if checked.unreadable:
        yield f"{_counted(checked.unreadable, 'listed file')} could not be read"
    if checked.different:
        yield f"{_counted(checked.different, 'computed digest')} did NOT match"


def _counted(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
