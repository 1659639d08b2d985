"""The hint for a build that asks git about a source whose version-control folder is left out."""

from __future__ import annotations

import os
from collections.abc import Iterable

from envy.declarations.sources import Scheme, SourceItem, local_path, scheme_of

_NO_REPOSITORY = b"not a git repository"


def asks_git(line: bytes) -> bool:
    """Return whether a line of output is git's, saying that there is no repository."""
    return _NO_REPOSITORY in line and b"fatal: " in line


def hint_about_history(items: Iterable[SourceItem]) -> str:
    """Return what to do if one of these sources has a git folder that is left out; else ""."""
    for item in items:
        if not item.vcs and scheme_of(item.source) in {Scheme.LOCAL, Scheme.FILE}:
            for _folder, inner, names in os.walk(local_path(item) / item.subdir):
                if ".git" in inner or ".git" in names:
                    return (
                        f"the build asked git, and the git folder of {item.source} is left out; "
                        f'to take it: {{ source = "{item.source}", vcs = true }}'
                    )
    return ""
