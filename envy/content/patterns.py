"""Names that a pattern matches, as Python's `glob` finds them, but for links that lead in circles.

`**` goes through links to folders, but not into a folder that it is inside of, so the search ends.

Loads little until a pattern has to be expanded: warm commands compare the names.
"""

# Plain os functions: these run once per file, perhaps a hundred thousand times.
# ruff: noqa: PTH116, PTH118, PTH207

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    Chain = tuple[tuple[int, int], "Chain"] | None

MOST_BEHIND_LINKS = 200_000


class TooManyNames(OSError):
    """A search went through links to more names than the limit."""


def expand(top: str, pattern: str, *, most: int = MOST_BEHIND_LINKS) -> list[str]:
    """Return the paths that a pattern matches, sorted and relative to the folder `top`.

    Raises:
        TooManyNames: `**` found more than `most` names behind links.
    """
    # Imported here, because it loads regular expressions, which most warm commands do not need.
    from glob import glob

    parts = pattern.split("/")
    if "**" not in parts:
        return sorted(glob(pattern, root_dir=top))
    at = parts.index("**")
    before, after = "/".join(parts[:at]), "/".join(parts[at + 1 :])
    is_last = at == len(parts) - 1
    starts = glob(f"{before}/", root_dir=top) if at else [""]
    found = set()
    for start in starts:
        for name, is_folder in _below(top, start, most):
            if is_last:
                found.add(name)
            elif is_folder:
                above = name if not name or name.endswith("/") else f"{name}/"
                inner = expand(os.path.join(top, above), after, most=most) if after else [""]
                found.update(above + each for each in inner)
    return sorted(found - {""})


def _below(top: str, start: str, most: int) -> Iterator[tuple[str, bool]]:
    """Yield a folder and everything below that is not hidden, with whether it is a folder."""
    yield start, True
    behind = 0
    chain: Chain = (_identity(os.path.join(top, start)), None)
    waiting: list[tuple[str, Chain, bool]] = [(start, chain, False)]
    while waiting:
        folder, chain, is_linked = waiting.pop()
        try:
            entries = list(os.scandir(os.path.join(top, folder)))
        except OSError:
            continue  # as `glob` does
        above = folder if not folder or folder.endswith("/") else f"{folder}/"
        for entry in entries:
            if entry.name.startswith("."):
                continue
            behind += is_linked
            if behind > most:
                raise TooManyNames(
                    f"** leads through links to more than {most} names, which is the limit; name "
                    "the folders that are meant"
                )
            try:
                is_folder = entry.is_dir()
            except OSError:
                is_folder = False  # a loop of links
            yield above + entry.name, is_folder
            if is_folder:
                own = _identity(entry.path)
                if not _is_in(own, chain):
                    is_link = is_linked or entry.is_symlink()
                    waiting.append((above + entry.name, (own, chain), is_link))


def _identity(path: str) -> tuple[int, int]:
    try:
        status = os.stat(path)
    except OSError:
        return 0, 0
    return status.st_dev, status.st_ino


def _is_in(identity: tuple[int, int], chain: Chain) -> bool:
    while chain is not None:
        if chain[0] == identity:
            return True
        chain = chain[1]
    return False
