"""Files of remembered results: sections of text under a digest, complete or not there at all.

There are two folders. `results` has what a package's tests did, by the key of everything that is
known before they run. `runs` has what a whole command did, by its words and its folder. Warm
commands load this module, so it imports little.

Guarantees
  A file that is damaged, too large or no plain file is never used: `Damaged`.
  A file is written beside its place and renamed, so that a killed process leaves the former one.
"""

from __future__ import annotations

import os

from blake3 import blake3

from envy.cache.names import TEST_KEPT_FOLDER, TEST_RUNS_FOLDER
from envy.content.plain_file import NotPlain, read_plain
from envy.limits import TEST_RESULT
from envy.testing.evidence import digest_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

RESULT_FORMAT = "1"
_HOUR = 3600.0
_DIGEST = 64


_SETTLE = "ENVY_TEST_SETTLE"
_LONGEST_SETTLE = 3600.0


def settle_time(environment: Mapping[str, str]) -> int:
    """Return for how many nanoseconds a file must not have changed to be remembered.

    The times of some file systems are no finer than two seconds. ENVY_TEST_SETTLE gives other
    seconds; a text that is no number of them is ignored.
    """
    text = environment.get(_SETTLE, "")
    try:
        seconds = float(text) if text else 2.0
    except ValueError:
        seconds = 2.0
    if not 0 <= seconds <= _LONGEST_SETTLE:
        seconds = 2.0
    return int(seconds * 1e9)


class Damaged(Exception):
    """A file of results that cannot be used; the text says why."""


def result_path(root: str, key: str) -> str:
    """Return the path of a package's result below the folder of tests."""
    return f"{root}/{TEST_KEPT_FOLDER}/{key}.result"


def run_path(root: str, key: str) -> str:
    """Return the path of the record of a whole command."""
    return f"{root}/{TEST_RUNS_FOLDER}/{key}.run"


def tree_path(root: str, top: str) -> str:
    """Return the path of the record of a whole folder."""
    return f"{root}/{TEST_RUNS_FOLDER}/{digest_of(os.fsencode(top))}.tree"


def read_sections(path: str, count: int) -> list[str] | None:
    """Return the sections of a file; None if it is not there.

    Raises:
        Damaged: it cannot be used.
    """
    try:
        data = read_plain(path, TEST_RESULT)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except NotPlain as error:
        raise Damaged(f"{path} {error}") from error
    except OSError as error:
        raise Damaged(f"{path}: {error.strerror}") from error
    body = data[_DIGEST:]
    if blake3(body).hexdigest().encode("ascii") != data[:_DIGEST]:
        raise Damaged(f"{path} is damaged")
    sections = body.decode("utf-8", "surrogateescape").split("\0")
    if len(sections) != count:
        raise Damaged(f"{path} is damaged")
    return sections


def write_sections(path: str, sections: list[str]) -> bool:
    """Write a file; return False if a section cannot be stored.

    Raises:
        OSError: it cannot be written.
    """
    text = "\0".join(sections)
    body = text.encode("utf-8", "surrogateescape")
    if text.count("\0") != len(sections) - 1 or len(body) + _DIGEST > TEST_RESULT.value:
        return False
    from envy.content.atomic import atomic_write

    os.makedirs(os.path.dirname(path), exist_ok=True)
    atomic_write(path, blake3(body).hexdigest().encode("ascii") + body)
    return True


def nothing_failed(path: str) -> bool:
    """Return whether the record of the last run names no failed test, so that a pass leaves it."""
    try:
        with open(path, "rb") as file:
            return b'"failed": {}' in file.read(64)
    except FileNotFoundError:
        return True
    except OSError:
        return False


def mark_used(path: str, now: float, *parts: str) -> None:
    """Renew the time of a file and of its parts, unless it is less than an hour old.

    gc keeps what was used lately.
    """
    try:
        if os.stat(path).st_mtime < now - _HOUR:
            for name in (path, *parts):
                os.utime(name)
    except OSError:
        return  # it was removed, or belongs to another user
