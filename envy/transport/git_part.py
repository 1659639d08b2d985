"""One folder of a commit, without the content of the others: what a large repository is asked for.

The commit comes without the content of its files, and git then asks for that of the folder, all at
once. Owns when this will do; the tree is the same as if the whole commit were checked out.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path

from envy.transport.context import FetchContext
from envy.transport.git_program import Checkout, run_git

_REMOTE = "envy-source"
_SPECIAL = re.compile(r"([\\*?\[\] ])")


def check_out_part(wanted: Checkout, folder: str, context: FetchContext) -> bool:
    """Check out a folder of a commit in a new repository; return false if all of it is needed.

    That is so if the server does not serve parts or this commit, if there is no such folder, or if
    a link in it leads to something else in the commit.
    """
    parts = [part for part in folder.split("/") if part not in {"", "."}]
    if not parts or not folder.isprintable():
        return False
    # The address is given to each command, and stands in no file.
    settings = {
        f"remote.{_REMOTE}.url": wanted.address,
        f"remote.{_REMOTE}.promisor": "true",
        f"remote.{_REMOTE}.partialclonefilter": "blob:none",
        "core.sparseCheckout": "true",
        "core.sparseCheckoutCone": "false",
    }
    fetch = ["fetch", "-q", "--depth=1", "--no-tags", "--filter=blob:none", _REMOTE, wanted.commit]
    patterns = wanted.path / ".git" / "info" / "sparse-checkout"
    patterns.write_text("".join(f"{line}\n" for line in _patterns(parts)))
    for arguments in (fetch, ["checkout", "-q", "--detach", wanted.commit]):
        if run_git(arguments, context, cwd=wanted.path, settings=settings)[0] != 0:
            context.check_cancelled()
            return False
    place = wanted.path.joinpath(*parts)
    return os.path.realpath(place) == os.path.join(  # noqa: PTH118
        os.path.realpath(wanted.path), *parts
    ) and not _leads_out(place)


def _patterns(parts: list[str]) -> Iterator[str]:
    """Yield what is checked out: the folder, and the attributes of files that stand above it."""
    above = ""
    for part in parts:
        yield f"{above}/.gitattributes"
        above += "/" + _SPECIAL.sub(r"\\\1", part)
    yield f"{above}/"


def _leads_out(folder: Path) -> bool:
    """Return whether a link in a folder leads out of it, or there is no such folder."""
    if not folder.is_dir():
        return True
    root = str(folder)
    for above, folders, files in os.walk(root):
        for name in (*folders, *files):
            path = os.path.join(above, name)  # noqa: PTH118
            if os.path.islink(path):  # noqa: PTH114
                to = os.path.normpath(os.path.join(above, os.readlink(path)))  # noqa: PTH115, PTH118
                if to != root and not to.startswith(root + os.sep):
                    return True
    return False
