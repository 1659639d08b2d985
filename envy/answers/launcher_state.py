"""Whether the launchers of a project are as its last sync wrote them; warm syncs load this module.

`.envy/written` has texts with NUL between them: a format, the root of the cache, the number of
files that decide, these files, then a path and its state for each file and link: a digest, ABSENT,
or IN_THE_WAY for a foreign file where a launcher would be.
"""

from __future__ import annotations

import os

from blake3 import blake3

from envy.content.file_digest import file_digest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

FOLDER = ".envy"
STAMP = f"{FOLDER}/stamp"
WRITTEN = f"{FOLDER}/written"
FORMAT = "1"
IN_THE_WAY = "!"
ABSENT = "-"


def written_text(
    root: str, cache_root: str, files: Sequence[str], states: Mapping[str, str]
) -> str:
    """Return the text of the record; `files` decide what was written, `states` are by path."""
    rows = [FORMAT, root, cache_root, str(len(files)), *files]
    for path, state in states.items():
        rows += [path, state]
    return "\0".join(rows)


def state_of(path: str) -> str:
    """Return the digest of a file or link, or ABSENT."""
    return digest_of(path) if os.path.lexists(path) else ABSENT


def digest_of(path: str) -> str:
    """Return what a file contains or a link leads to, as a digest; "" for anything else."""
    try:
        return blake3(os.fsencode(os.readlink(path))).hexdigest()
    except OSError:
        return (os.access(path, os.R_OK) and file_digest(path)) or ""


def are_current(folder: str, root: str, cache_root: str) -> bool:
    """Return whether nothing has to be written for the launchers of a project."""
    try:
        with open(f"{folder}/{WRITTEN}", "rb", 0) as file:
            rows = os.fsdecode(file.readall()).split("\0")
        if rows[:3] != [FORMAT, root, cache_root]:
            return False
        stamp = os.stat(f"{folder}/{STAMP}").st_mtime_ns
        paths = rows[4 + int(rows[3]) :]
        files = rows[4 : 4 + int(rows[3])]
        return all(os.stat(path).st_mtime_ns < stamp for path in files) and all(
            _is_as_written(path, state) for path, state in zip(paths[::2], paths[1::2], strict=True)
        )
    except (OSError, ValueError, IndexError):
        return False


def _is_as_written(path: str, state: str) -> bool:
    if state == IN_THE_WAY:
        return os.path.lexists(path)
    return state != "" and state_of(path) == state
