"""Paths that a phase function names: below the package's own folders, or elsewhere.

A path below one of these folders stays in them: links of fetched content that lead outside are
neither written nor read through. A path that the author wrote outside of them, absolute or with
`..`, is used as it is.
"""

from __future__ import annotations

import os.path
from pathlib import Path

from envy.cache.names import ASSET, FETCH, STAGE, TMP
from envy.content import file_operations
from envy.content.below_root import BelowRoot
from envy.content.brought import LeadsOutside
from envy.content.folder_walk import covering
from envy.content.tree_copy import FolderPart
from envy.errors import DeclarationError, EnvyError
from envy.execution.phase_run import PhaseRun
from envy.phase import RecipePhase

_FETCHING = frozenset({RecipePhase.RECIPE_FETCH, RecipePhase.FETCH})


def package_path(run: PhaseRun, path: Path, *, follow: bool, reading: bool) -> Path:
    """Return the path that a path leads to, without links on the way.

    Without `follow`, the last component is not followed if it is a link. With `reading`, a link
    that the recipe itself made may lead anywhere; when writing, only to another own folder.

    Raises:
        EnvyError: a link on the way leads outside of the package's folders.
    """
    text = os.fspath(path)
    root = _own_folder(run, text)
    if root is None and not reading:
        _check_writable(run, path)
    if root is None or not os.path.isdir(root):  # noqa: PTH112
        return path
    parts = text[len(root) :].split("/")[1:]
    try:
        with BelowRoot(root, run.recipe.work.links.get(root)) as below:
            return Path(below.root, *below.find(parts, follow=follow))
    except LeadsOutside as error:
        if not error.link:
            return path
        real = Path(os.path.realpath(path if follow else path.parent))
        real = real if follow else real / path.name
        if any(real.is_relative_to(os.path.realpath(other)) for other in _own_folders(run)):
            return real
        fetched = run.phase in _FETCHING or root == os.fspath(run.fetch_dir or "")
        if reading and error.brought is None and not fetched:
            return path
        raise EnvyError(
            f"{path} leads through {error.why}",
            hint="if that is meant, name what it leads to by its absolute path",
        ) from None
    except OSError as error:
        raise EnvyError(f"cannot look up {path}: {error.strerror}") from error


def _check_writable(run: PhaseRun, path: Path) -> None:
    """Raise if a test of a recipe, which may write to its own folder only, writes elsewhere."""
    allowed = run.engine.services.writes_below
    if allowed is not None and not Path(os.path.realpath(path)).is_relative_to(allowed):
        raise EnvyError(
            f"{path} lies outside of the test's folder, and a test of a recipe writes nowhere else"
        )


def own_folder_of(run: PhaseRun, path: Path) -> Path | None:
    """Return the folder of the package that a path is below; None for a path elsewhere."""
    root = _own_folder(run, os.fspath(path))
    return None if root is None else Path(root)


def _own_folder(run: PhaseRun, path: str) -> str | None:
    folders = _own_folders(run)
    # Usually the first form; the links of a path that was looked up before are resolved.
    for root in (*folders, *map(os.path.realpath, folders)):
        if path == root or path.startswith(root + "/"):
            return root
    return None


def _own_folders(run: PhaseRun) -> list[str]:
    placement = run.recipe.placement_or_none
    folders = [os.fspath(run.run_dir)]
    if run.fetch_dir is not None:
        folders.append(os.fspath(run.fetch_dir))
    if placement is not None and run.phase is not RecipePhase.RECIPE_FETCH:
        entries = [placement.entry, *([placement.padded] if placement.padded else ())]
        folders += (entry.at(name) for entry in entries for name in (ASSET, STAGE, TMP, FETCH))
    return folders


def readable(run: PhaseRun, text: str) -> Path:
    """Return the path of a file that a function reads, relative to the run directory.

    Raises:
        DeclarationError: it is in the recipe's folder, and not part of the key.
        EnvyError: it leads outside through a link that was fetched.
    """
    return _check_readable(run, file_operations.resolve(run.run_dir, text))


def listable(run: PhaseRun, text: str) -> Path:
    """Return the path of a folder whose names a function lists."""
    path = file_operations.resolve(run.run_dir, text)
    return package_path(run, path, follow=True, reading=True)


def matches(run: PhaseRun, pattern: str) -> list[str]:
    """Return what matches a pattern, without what only a fetched link to elsewhere leads to."""
    found = file_operations.glob(run.run_dir, pattern)
    if not run.recipe.work.links.get(os.fspath(run.run_dir)):
        return found
    folders = {name.rpartition("/")[0] for name in found}
    elsewhere = {folder for folder in folders if folder and not _is_listable(run, folder)}
    return [name for name in found if name.rpartition("/")[0] not in elsewhere]


def _is_listable(run: PhaseRun, folder: str) -> bool:
    try:
        listable(run, folder)
    except EnvyError:
        return False
    return True


def fetched_file(run: PhaseRun, name: str) -> Path:
    """Return the file to extract: in the run directory, else among the fetched files."""
    here = readable(run, name)
    if here.exists() or run.phase in _FETCHING or run.fetch_dir is None:
        return here
    fetched = run.fetch_dir / name
    if not fetched.exists():
        raise DeclarationError(
            f"there is no {name} in {run.run_dir} or among the fetched files",
            hint=f"fetched files: {', '.join(run.recipe.work.fetched) or 'none'}",
        )
    return package_path(run, fetched, follow=True, reading=True)


def patch_file(run: PhaseRun, name: str) -> Path:
    """Return a file of the run directory, the fetched files or the recipe's folder."""
    loaded = run.recipe.loaded_or_none
    own = loaded.recipe_dir / name if loaded is not None else None
    if own is None or not own.exists() or readable(run, name).exists():
        return fetched_file(run, name)
    if run.fetch_dir is not None and (run.fetch_dir / name).exists():
        return fetched_file(run, name)
    return _check_readable(run, own)


def _check_readable(run: PhaseRun, path: Path) -> Path:
    path = Path(os.path.normpath(path))
    package_path(run, path, follow=True, reading=True)
    if not run.may_read(path):
        name = path.relative_to(run.recipe.loaded.recipe_dir)
        raise DeclarationError(
            f"{name} is in the recipe's folder but not in its `inputs`, so envy would not "
            "notice a change to it",
            hint=f'add it: inputs = {{ "{name}" }}',
        )
    return path


def input_part(run: PhaseRun, path: Path) -> FolderPart | None:
    """Return which part of a folder of `inputs` a path is, if the folder has rules."""
    placement = run.recipe.placement_or_none
    found = covering(placement.inputs, str(path)) if placement is not None else None
    if found is None or not found[1]:
        return None
    return FolderPart(*found, start=os.path.relpath(path, found[0]))
