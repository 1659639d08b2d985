"""The files that a test binary needs on another machine: its inputs, and the libraries it loads."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from envy.host.children import Children
from envy.host.loaded_libraries import LibrariesUnknown, loaded_libraries
from envy.testing.basis import walked
from envy.testing.consulted import Unkept
from envy.testing.shared.places import PROJECT, NamedPlaces

BINARY = "envy-test-binary"
MOST_FILES = 5_000


class StaysHere(Exception):
    """The tests of a package run on this machine; the text says why, as the end of a sentence."""


def folder_of(directory: Path, places: NamedPlaces) -> str:
    """Return the folder of a package below the input root: its path in the project.

    Raises:
        StaysHere: it is not in the project.
    """
    name, _, rest = places.named(str(directory)).partition("/")
    if name != PROJECT:
        raise StaysHere("it is not in the project")
    return rest


def program_of(folder: str) -> str:
    """Return the path of the test binary, from the folder of its package."""
    depth = folder.count("/") + 1 if folder else 0
    return f"{'../' * depth or './'}{BINARY}"


def files_below(
    tops: Iterable[Path], places: NamedPlaces, *, hidden: bool = True
) -> dict[str, str]:
    """Return the files that are, or lie below, `tops`, by their paths below the input root.

    Without `hidden`, names that start with . or _ are left out.

    Raises:
        StaysHere: one is missing or not in the project, or there are too many.
    """
    found: dict[str, str] = {}
    for top in tops:
        above = folder_of(top, places)
        if not top.is_dir():
            if not top.is_file():
                raise StaysHere(f"its input {top} is not there")
            found[above] = str(top)
            continue
        try:
            for folder, names in walked(str(top), hidden=hidden, follows=False):
                rest = os.path.relpath(folder, top)
                below = above if rest == "." else f"{above}/{rest}".lstrip("/")
                found |= {f"{below}/{name}".lstrip("/"): f"{folder}/{name}" for name in names}
                if len(found) > MOST_FILES:
                    raise StaysHere(f"it has more than {MOST_FILES} inputs")
        except Unkept as error:
            raise StaysHere(str(error)) from error
    link = next((path for path in found.values() if os.path.isdir(path)), None)  # noqa: PTH112
    if link is not None:
        raise StaysHere(f"its input {link} is a link to a folder")
    odd = next((name for name in found if not name.isprintable()), None)
    if odd is not None:
        raise StaysHere(f"an input has a strange name, {odd!r}")
    return found


def libraries_of(
    binary: Path, environment: Mapping[str, str], children: Children
) -> dict[str, str]:
    """Return the loader and the libraries of a program; nothing if it is static.

    They lie below the input root where they lie here, so that a server that makes the input root
    the root of all paths finds them.

    Raises:
        StaysHere: they are not known.
    """
    try:
        found = loaded_libraries(binary, environment, children)
    except LibrariesUnknown as error:
        raise StaysHere(str(error)) from error
    return {path.lstrip("/"): path for path in found}
