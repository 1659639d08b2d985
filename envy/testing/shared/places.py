"""The folders of this machine that have other paths on others, and texts without those paths.

The path of such a folder is replaced by its name, as in `<project>/store/data.txt`, so that a text
about the same thing is the same on every machine.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

from blake3 import blake3

from envy.host.platform import host_platform
from envy.testing.key_text import Parts, key_text

PROJECT = "<project>"
HOME = "<home>"
CACHE = "<cache>"
_OF_A_PROJECT = (".git", "envy.lua", "go.mod", "go.work")
# Folders of the system, which are the same ones everywhere.
_OF_THE_SYSTEM = ("/usr/", "/lib/", "/lib64/", "/bin/", "/sbin/", "/etc/localtime")


class Unshared(Exception):
    """A result is not shared with other machines; the text says why, as the end of a sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedKey:
    """What decides a result on any machine: a digest of texts, and the folders with a name there.

    `toolchain` is for people who look at the server. `holds_files`: what the tests consult is in
    the digest, so that the result rests on nothing else.
    """

    digest: str
    toolchain: str
    places: NamedPlaces
    holds_files: bool = False


class NamedPlaces:
    """Named folders; a folder inside of another counts before it."""

    def __init__(self, folders: Mapping[str, str]) -> None:
        """`folders` has the path of each name, such as `<project>`."""
        rows: dict[str, str] = {}
        for name, path in folders.items():
            for spelled in (path, os.path.realpath(path)) if path else ():
                # What lies near the top is no folder of its own, and its path may mean anything.
                if spelled.startswith("/") and spelled.strip("/"):
                    rows.setdefault(spelled.rstrip("/"), name)
        self.folders = dict(folders)
        self._names = dict(sorted(rows.items(), key=lambda row: len(row[0]), reverse=True))
        words = "|".join(map(re.escape, self._names))
        self._pattern = re.compile(f"(?:{words})(?![\\w.+~-])") if words else None

    def having(self, folders: Mapping[str, str]) -> NamedPlaces:
        """Return places with more folders."""
        return NamedPlaces({**self.folders, **folders})

    def text(self, text: str) -> str:
        """Return a text in which names stand for the paths of folders."""
        if self._pattern is None:
            return text
        return self._pattern.sub(lambda found: self._names[found[0]], text)

    def are_in(self, text: str) -> bool:
        """Return whether a text has the path of a folder; `TestUser/root` has none of `/root`."""
        return self._pattern is not None and any(
            found[0].count("/") > 1 or not text[: found.start()][-1:].isalnum()
            for found in self._pattern.finditer(text)
        )

    def named(self, path: str) -> str:
        """Return a path that begins with the name of its folder; "" if it lies elsewhere."""
        path = os.path.normpath(path)
        for folder, name in self._names.items():
            if path == folder or path.startswith(f"{folder}/"):
                return name + path[len(folder) :]
        return ""

    def path(self, named: str) -> str:
        """Return the path here of a path with the name of its folder.

        Raises:
            ValueError: it is not one, or leads out of its folder.
        """
        name, slash, rest = named.partition("/")
        parts = rest.split("/") if slash else []
        if "\0" in named or any(part in {"", ".", ".."} for part in parts):
            raise ValueError(f"{named!r} is not a path below a folder")
        if named.startswith("/"):
            return named
        folder = self.folders.get(name, "")
        if not folder:
            raise ValueError(f"{named!r} is in no known folder")
        return "/".join([folder.rstrip("/"), *parts])

    def key(self, parts: Parts, *, toolchain: str = "", holds_files: bool = False) -> SharedKey:
        """Return the key of parts, in which paths are replaced, for machines of this system."""
        host = host_platform()
        system = [host.tag, host.os_version, host.libc, host.libc_version]
        text = key_text({"system": system, **parts}, self.text)
        digest = blake3(text.encode("utf-8", "surrogatepass")).hexdigest()
        return SharedKey(digest=digest, toolchain=toolchain, places=self, holds_files=holds_files)


def is_of_the_system(path: str) -> bool:
    """Return whether a path is one of the system's, and not of a user or a project."""
    return path.startswith(_OF_THE_SYSTEM)


def places_of(directory: str, cache: str, environment: Mapping[str, str]) -> NamedPlaces:
    """Return the folders of a command: its project, the cache, and the user's own."""
    return NamedPlaces(
        {PROJECT: _project_of(directory), CACHE: cache, HOME: environment.get("HOME", "")}
    )


def _project_of(directory: str) -> str:
    """Return the folder of the project: where it was checked out, or its uppermost project file."""
    found = directory
    folder = directory
    while True:
        names = [name for name in _OF_A_PROJECT if os.path.lexists(f"{folder}/{name}")]
        if names:
            found = folder
        above = folder.rpartition("/")[0]
        if ".git" in names or not above:
            return found
        folder = above
