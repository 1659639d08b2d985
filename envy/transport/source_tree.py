"""Folders that are fetched as trees, from a repository or from this machine."""

import os
from collections.abc import Sequence
from pathlib import Path

from envy.content.atomic import temporary_beside
from envy.content.below_root import BelowRoot, open_below
from envy.content.beside import CannotCopy, Copies, TooManyCopies, lowest_level
from envy.content.brought import Brought, Parts
from envy.errors import FetchError


def inner_folder(root: Path, subdir: str, uri: str) -> Path:
    """Return the real path of the folder `subdir` of a tree: a link moved elsewhere means another.

    Raises:
        FetchError: the folder does not exist, or is outside of the tree, through a link say.
    """
    inner = Path(os.path.realpath(root / subdir))
    if not inner.is_dir() or not inner.is_relative_to(os.path.realpath(root)):
        there = sorted(entry.name for entry in root.iterdir() if entry.is_dir())
        raise FetchError(
            f"{uri} has no folder {subdir}",
            uri=uri,
            hint=f"its folders are {', '.join(there)}" if there else "it has no folders",
        )
    return inner


def move_part(root: Path, inner: Path, part: Path) -> None:
    """Move a folder of a tree to `part`; copies take the places of links that lead beside it.

    A link that leads outside of the tree, or nowhere, is kept.

    Raises:
        FetchError: the copies would be too many.
    """
    names = inner.relative_to(os.path.realpath(root)).parts
    links = _links_beside(inner, names) if names else []
    with (
        temporary_beside(part, sole_writer=False) as copies,
        open_below(copies) as below,
        BelowRoot(root) as tree,
    ):
        copied = _copy_targets(links, names, Copies(tree, below, _unjudged))
        inner.rename(part)
        for number, link in copied:
            place = part.joinpath(*link)
            place.unlink()
            (copies / str(number)).rename(place)


def _links_beside(inner: Path, names: Parts) -> list[Parts]:
    """Return the links of a folder that lead beside it, but inside of the tree."""
    found: list[Parts] = []
    for folder, folders, files in os.walk(inner):
        for name in sorted([*folders, *files]):
            path = Path(folder, name)
            if path.is_symlink():
                link = path.relative_to(inner).parts
                if 0 <= lowest_level(names + link, os.readlink(path)) < len(names):  # noqa: PTH115
                    found.append(link)
    return found


def _copy_targets(links: Sequence[Parts], names: Parts, copies: Copies) -> list[tuple[int, Parts]]:
    """Copy what links lead to, to a folder each; return the numbers and the links."""
    copied = []
    for number, link in enumerate(links):
        try:
            copies.copy_target(names + link, (str(number),))
        except TooManyCopies as error:
            uri = "/".join(link)
            raise FetchError(f"{uri} is a link {error.why}", uri=uri, hint=error.hint) from None
        except CannotCopy:
            continue
        copied.append((number, link))
    return copied


def _unjudged(link: Parts, to: str) -> Brought:
    return Brought("", "/".join(link), to, judged=False)


def tree_size(root: Path) -> int:
    """Return the bytes of all files below a folder."""
    return sum(
        os.lstat(os.path.join(folder, name)).st_size  # noqa: PTH118
        for folder, _, names in os.walk(root)
        for name in names
    )
